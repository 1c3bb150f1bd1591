"""Mixtures of experts and latent attention in every backend, against what they are defined as."""

from importlib import import_module

import pytest
import torch
from torch import Tensor

from tests.kernels.backends import CPU, EACH_BACKEND
from xylem.kernels.interface import AttentionKind, BatchMetadata, Ops

NUM_EXPERTS, WIDTH, INNER = 7, 24, 20


def weights_of(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    gate_up = torch.randn(NUM_EXPERTS, 2 * INNER, WIDTH, dtype=dtype) * 0.3
    return gate_up, torch.randn(NUM_EXPERTS, WIDTH, INNER, dtype=dtype) * 0.3


def chosen(num_tokens: int, num_chosen: int, num_experts: int) -> tuple[Tensor, Tensor]:
    """Different experts for each token, out of the first num_experts."""
    experts = torch.stack([torch.randperm(num_experts)[:num_chosen] for _ in range(num_tokens)])
    return experts, torch.rand(num_tokens, num_chosen)


def mix(backend: Ops, x: Tensor, weights: tuple[Tensor, Tensor], experts: Tensor, shares: Tensor) -> Tensor:
    gate_up, down = (backend.pack_experts(weight.clone(), backend.packing("none")) for weight in weights)
    return backend.mix_experts(x, gate_up, down, experts, shares)


@EACH_BACKEND
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("num_tokens", "num_chosen"), [(1, 1), (1, 7), (5, 2), (33, 3)])
def test_a_token_gets_the_weighted_sum_of_its_experts(
    backend: Ops, num_tokens: int, num_chosen: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch, *,
    packed: bool,
) -> None:  # fmt: skip
    if packed:
        monkeypatch.setattr(import_module("xylem.kernels.cpu.linear"), "SMALL", 0)
    weights = weights_of(dtype)
    x = torch.randn(num_tokens, WIDTH, dtype=dtype)
    experts, shares = chosen(num_tokens, num_chosen, NUM_EXPERTS)
    gate_up, down = (weight.double()[experts] for weight in weights)  # [T, k, 2F, N], [T, k, N, F]
    gate, up = torch.einsum("tkfn,tn->tkf", gate_up, x.double()).chunk(2, dim=-1)
    expected = torch.einsum("tknf,tkf,tk->tn", down, torch.nn.functional.silu(gate) * up, shares.double())
    given = mix(backend, x, weights, experts, shares)
    assert given.dtype == dtype
    tolerance = 1e-5 if dtype is torch.float32 else 6e-2
    torch.testing.assert_close(given.double(), expected, atol=tolerance, rtol=tolerance)


@EACH_BACKEND
def test_experts_and_tokens_beside_it_do_not_touch_a_token(backend: Ops) -> None:
    weights = weights_of(torch.float32)
    for weight in weights:
        weight[4:] = float("nan")
    x = torch.randn(9, WIDTH)
    experts, shares = chosen(9, 2, 4)
    together = mix(backend, x, weights, experts, shares)
    alone = [mix(backend, x[i : i + 1], weights, experts[i : i + 1], shares[i : i + 1]) for i in range(9)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-6, rtol=1e-6)
    x[3] = float("nan")
    spoilt = mix(backend, x, weights, experts, shares)
    assert spoilt[3].isnan().all()
    others = [i for i in range(9) if i != 3]
    torch.testing.assert_close(spoilt[others], together[others], atol=1e-6, rtol=1e-6)


@EACH_BACKEND
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_latent_is_normed_and_its_key_rotated_and_both_are_written(backend: Ops, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    query, latent, norm = (torch.randn(shape, dtype=dtype) for shape in ((3, 4, 6), (3, 16), (10,)))
    angles, slots, keys = torch.randn(3, 3), torch.tensor([5, 0, 7]), torch.zeros(9, 1, 16, dtype=dtype)
    rotated = backend.write_latent(
        query.clone(), latent.clone(), keys, slots, norm=norm, epsilon=1e-3, rotation=(angles.cos(), angles.sin())
    )
    turn = torch.polar(torch.ones(3, 3, dtype=torch.double), angles.double())

    def turned(x: Tensor, by: Tensor) -> Tensor:
        product = torch.complex(*x.double().chunk(2, dim=-1)) * by
        return torch.cat((product.real, product.imag), dim=-1)

    plain = latent[:, :10].double()
    normed = plain / (plain.pow(2).mean(-1, keepdim=True) + 1e-3).sqrt() * norm.double()
    tolerance = 1e-5 if dtype is torch.float32 else 5e-2
    written = torch.cat((normed, turned(latent[:, 10:], turn)), dim=-1)
    torch.testing.assert_close(keys[slots, 0].double(), written, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(rotated.double(), turned(query, turn.unsqueeze(1)), atol=tolerance, rtol=tolerance)
    assert keys[[1, 2, 3, 4, 6, 8]].count_nonzero() == 0


@EACH_BACKEND
def test_keys_may_be_the_values(backend: Ops) -> None:
    layout = BatchMetadata.build([(3, 1, [4, 1]), (0, 5, [0, 2]), (6, 1, [3, 5])], page_size=4, device=CPU)
    query, keys = torch.randn(7, 6, 16), torch.randn(24, 1, 16)
    given = backend.attention(query, keys, keys, layout, AttentionKind(0.25))
    expected = backend.attention(query, keys, keys.clone(), layout, AttentionKind(0.25))
    torch.testing.assert_close(given, expected)
