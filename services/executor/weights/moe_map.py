"""Weight map of a mixture of experts: the shapes of its parameters, and the checkpoint tensors that fill them."""

from xylem.services.executor.model_config.decoder_config import DecoderConfig
from xylem.services.executor.weights.weight_slice import Shape, WeightSlice, stacked_slices

# Names of the gate, up and down projections of an expert, by the name of their block.
PROJECTIONS = {"mlp": ("gate_proj", "up_proj", "down_proj"), "block_sparse_moe": ("w1", "w3", "w2")}


def parameter_shapes(config: DecoderConfig, i: int) -> dict[str, Shape]:
    """Returns the parameter shapes of layer i. The experts of a layer lie in one parameter, one after the other."""
    experts, width = config.experts, config.hidden_size
    assert experts is not None
    found: dict[str, Shape] = {
        f"{i}.router": (experts.num_experts, width),
        f"{i}.expert_gate_up": (experts.num_experts, 2 * experts.intermediate_size, width),
        f"{i}.expert_down": (experts.num_experts, width, experts.intermediate_size),
    }
    if experts.biased:
        found[f"{i}.router_bias"] = (experts.num_experts,)
    if experts.shared_size:
        found[f"{i}.shared_gate_up"] = (2 * experts.shared_size, width)
        found[f"{i}.shared_down"] = (width, experts.shared_size)
    if experts.shared_gated:
        found[f"{i}.shared_gate"] = (1, width)
    return found


def weight_slices(config: DecoderConfig, i: int) -> dict[str, WeightSlice]:
    """Returns the slices of layer i for files with a tensor per expert, as on the hub."""
    experts, width = config.experts, config.hidden_size
    assert experts is not None
    block = f"model.layers.{i}.{experts.block}"
    gate, up, down = PROJECTIONS[experts.block]
    found = {f"{block}.gate.weight": WeightSlice(f"{i}.router", 0, (experts.num_experts, width))}
    if experts.biased:
        found[f"{block}.gate.e_score_correction_bias"] = WeightSlice(f"{i}.router_bias", 0, (experts.num_experts,))
    inner = experts.intermediate_size
    for expert in range(experts.num_experts):
        one = f"{block}.experts.{expert}"
        found |= stacked_slices(one, (gate, up), (inner, inner), f"{i}.expert_gate_up", width, expert=expert)
        found |= stacked_slices(one, (down,), (width,), f"{i}.expert_down", inner, expert=expert)
    if experts.shared_size:
        shared, size = f"{block}.{experts.shared_name}", experts.shared_size
        found |= stacked_slices(shared, (gate, up), (size, size), f"{i}.shared_gate_up", width)
        found |= stacked_slices(shared, (down,), (width,), f"{i}.shared_down", size)
    if experts.shared_gated:
        found[f"{block}.shared_expert_gate.weight"] = WeightSlice(f"{i}.shared_gate", 0, (1, width))
    return found


def alternative_slices(config: DecoderConfig, i: int) -> dict[str, WeightSlice]:
    """Returns the slices of layer i for files with all experts in one tensor, as transformers 5 has them in memory."""
    names = {
        "mlp.experts.gate_up_proj": f"{i}.expert_gate_up",
        "mlp.experts.down_proj": f"{i}.expert_down",
        "mlp.gate.weight": f"{i}.router",
    }
    whole = parameter_shapes(config, i)
    return {
        f"model.layers.{i}.{name}": WeightSlice(parameter, 0, whole[parameter]) for name, parameter in names.items()
    }
