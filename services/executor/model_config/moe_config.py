"""Mixtures of experts as config.json describes them, in the keys of each architecture.

Numbers that a file leaves out are the defaults of transformers' configuration classes.
"""

from dataclasses import dataclass
from typing import Any, Literal

from xylem.shared.model_info.model_card import ModelError

Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MoeConfig:
    """Mixtures of experts: their layers, their sizes, and how a token's experts are chosen (models/moe_router.py).

    block, shared_name: the names of the MLP and of the shared expert in checkpoints.
    """

    layers: tuple[bool, ...]  # per layer: whether it has experts, or else one MLP
    num_experts: int
    num_chosen: int
    intermediate_size: int
    scoring: Literal["softmax", "sigmoid"] = "softmax"
    biased: bool = False
    normalised: bool = False  # the weights of a token's experts add up to 1, before scaling
    scaling: float = 1.0
    num_groups: int = 1
    num_chosen_groups: int = 1
    num_group_best: int = 1  # experts summed into a group's score
    shared_size: int = 0
    shared_gated: bool = False
    block: str = "mlp"
    shared_name: str = "shared_experts"


def parse_mixtral(config: Config) -> MoeConfig:
    """Reads Mixtral (Jiang et al. 2024): experts in every layer."""
    return _checked(
        MoeConfig(
            layers=(True,) * config["num_hidden_layers"],
            num_experts=config.get("num_local_experts", 8),
            num_chosen=config.get("num_experts_per_tok", 2),
            intermediate_size=config["intermediate_size"],
            normalised=True,
            block="block_sparse_moe",
        )
    )


def parse_qwen(config: Config, *, num_experts: int, num_chosen: int, intermediate_size: int) -> MoeConfig | None:
    """Reads Qwen MoE: experts in every decoder_sparse_step-th layer that mlp_only_layers does not name.

    The numbers are the architecture's defaults. Returns None when there is no such layer. New files of Qwen3 have
    num_local_experts.
    """
    config = {"num_experts": config.get("num_local_experts", num_experts), **config}
    step, dense = config.get("decoder_sparse_step", 1), config.get("mlp_only_layers") or ()
    layers = tuple(i not in dense and (i + 1) % step == 0 for i in range(config["num_hidden_layers"]))
    if not any(layers) or config["num_experts"] == 0:
        return None
    return _checked(
        MoeConfig(
            layers=layers,
            num_experts=config["num_experts"],
            num_chosen=config.get("num_experts_per_tok", num_chosen),
            intermediate_size=config.get("moe_intermediate_size", intermediate_size),
            normalised=config.get("norm_topk_prob", False),
        )
    )


def parse_deepseek_v2(config: Config) -> MoeConfig | None:
    """Reads DeepSeek-V2 (DeepSeek-AI 2024): softmax; a group's score is that of its best expert."""
    method = _one_of(config, "topk_method", "greedy", "group_limited_greedy")
    _one_of(config, "scoring_func", "softmax")
    if config.get("norm_topk_prob", False):  # of which transformers and the model's makers think differently
        raise ModelError("norm_topk_prob is not supported in this architecture")
    grouped = method == "group_limited_greedy"
    return _deepseek(
        config,
        num_experts=config.get("n_routed_experts", 64),
        num_chosen=config["num_experts_per_tok"],
        intermediate_size=config.get("moe_intermediate_size", 1407),
        scaling=config.get("routed_scaling_factor", 1.0),
        num_groups=config["n_group"] if grouped else 1,
        num_chosen_groups=config["topk_group"] if grouped else 1,
        num_shared=config.get("n_shared_experts", 2),
        num_dense=config.get("first_k_dense_replace", 0),
    )


def parse_deepseek_v3(config: Config) -> MoeConfig | None:
    """Reads DeepSeek-V3 (2024): sigmoid; a bias takes part in the choice; a group's score sums its two best experts."""
    _one_of(config, "topk_method", "noaux_tc")
    _one_of(config, "scoring_func", "sigmoid")
    return _deepseek(
        config,
        num_experts=config.get("n_routed_experts", 256),
        num_chosen=config.get("num_experts_per_tok", 8),
        intermediate_size=config.get("moe_intermediate_size", 2048),
        scoring="sigmoid",
        biased=True,
        normalised=config.get("norm_topk_prob", True),
        scaling=config.get("routed_scaling_factor", 2.5),
        num_groups=config.get("n_group", 8),
        num_chosen_groups=config.get("topk_group", 4),
        num_group_best=2,
        num_shared=config.get("n_shared_experts", 1),
        num_dense=config.get("first_k_dense_replace", 3),
    )


def _deepseek(
    config: Config, *, intermediate_size: int, num_shared: int | None, num_dense: int, **more: Any
) -> MoeConfig | None:
    """Gives experts to every moe_layer_freq-th layer after the first num_dense; None when no layer has any."""
    step = config.get("moe_layer_freq", 1)
    layers = tuple(i >= num_dense and i % step == 0 for i in range(config["num_hidden_layers"]))
    if not any(layers):
        return None
    shared_size = (num_shared or 0) * intermediate_size
    return _checked(MoeConfig(layers=layers, intermediate_size=intermediate_size, shared_size=shared_size, **more))


def _one_of(config: Config, name: str, default: str, *others: str) -> str:
    value = config.get(name, default)
    if value not in (default, *others):
        raise ModelError(f"{name} {value!r} is not supported; there are: {', '.join((default, *others))}")
    return str(value)


def _checked(experts: MoeConfig) -> MoeConfig:
    """Raises ModelError for numbers that contradict one another."""
    num_experts, num_groups = experts.num_experts, experts.num_groups
    if num_experts % num_groups:
        raise ModelError(f"{num_experts} experts can't be divided into {num_groups} groups")
    size, num_chosen_groups = num_experts // num_groups, experts.num_chosen_groups
    if not 1 <= num_chosen_groups <= num_groups or size < experts.num_group_best:
        raise ModelError(f"{num_chosen_groups} of {num_groups} groups of {size} experts can't be chosen")
    if not 1 <= experts.num_chosen <= num_chosen_groups * size:
        raise ModelError(f"a token can't go through {experts.num_chosen} of {num_chosen_groups * size} experts")
    return experts
