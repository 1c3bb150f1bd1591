"""What config.json says about mixtures of experts, in the words of each family.

Numbers that a file leaves out are the defaults of transformers' configuration classes.
"""

from typing import Any

from xylem.services.executor.model_config.decoder_config import MoeConfig
from xylem.shared.model_info.model_card import ModelError

Config = dict[str, Any]


def mixtral(config: Config) -> MoeConfig:
    """Jiang et al. 2024: experts in every layer."""
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


def qwen(config: Config, *, num_experts: int, num_chosen: int, intermediate_size: int) -> MoeConfig | None:
    """Experts in every decoder_sparse_step-th layer that mlp_only_layers does not name. Numbers: the family's defaults.

    None when there is no such layer. New files of Qwen3 say num_local_experts.
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


def deepseek_v2(config: Config) -> MoeConfig | None:
    """DeepSeek-AI 2024 (V2): softmax; a group is as good as its best expert."""
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


def deepseek_v3(config: Config) -> MoeConfig | None:
    """DeepSeek-AI 2024 (V3): sigmoid; a bias takes part in the choice; a group is as good as its two best experts."""
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
    """The first num_dense layers have no experts, of the others every moe_layer_freq-th; None: no layer has any."""
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
