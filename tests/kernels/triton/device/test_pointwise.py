import pytest
import torch

from tests.kernels.triton.device.machine import DEVICE, EACH_TYPE, REFERENCE, TRITON, close, random
from xylem.kernels.interface import HeadNorms, NoSuchQuantization


@pytest.mark.parametrize("dtype", EACH_TYPE)
@pytest.mark.parametrize("shape", [(1, 32), (7, 100), (3, 2600), (0, 64)])
def test_norm_and_activation(shape: tuple[int, int], dtype: torch.dtype) -> None:
    x, delta, weight = random(*shape, dtype=dtype), random(*shape, dtype=dtype, seed=1), random(shape[1], dtype=dtype)
    sums = [x.clone(), x.clone()]
    normed = [each.add_rms_norm(sums[i], delta, weight, 1e-6) for i, each in enumerate((TRITON, REFERENCE))]
    assert torch.equal(sums[0], sums[1])
    close(normed[0], normed[1], dtype)
    before = x.clone()
    close(TRITON.add_rms_norm(x, None, weight, 1e-5), REFERENCE.add_rms_norm(x, None, weight, 1e-5), dtype)
    assert torch.equal(x, before)
    shifted = [each.add_rms_norm(x, None, weight, 1e-5, offset=1.0) for each in (TRITON, REFERENCE)]
    close(*shifted, dtype)
    close(TRITON.silu_and_mul(x), REFERENCE.silu_and_mul(x), dtype)
    close(TRITON.gelu_and_mul(x), REFERENCE.gelu_and_mul(x), dtype)


@pytest.mark.parametrize("dtype", EACH_TYPE)
@pytest.mark.parametrize("normed", [False, True])
@pytest.mark.parametrize(
    ("heads", "head_dim", "rotated_dims"), [((4, 4), 16, 16), ((6, 2), 24, 12), ((8, 1), 16, 0), ((40, 8), 128, 128)]
)
def test_heads_are_normed_rotated_and_written(
    heads: tuple[int, int], head_dim: int, rotated_dims: int, dtype: torch.dtype, *, normed: bool
) -> None:
    num_heads, num_kv_heads = heads
    qkv = random(3, (num_heads + 2 * num_kv_heads) * head_dim, dtype=dtype)
    norms = HeadNorms(*random(2, head_dim, dtype=dtype, seed=1), 1e-6) if normed else None
    angles = random(3, rotated_dims // 2, seed=2)
    rotation = (angles.cos(), angles.sin()) if rotated_dims else None
    slots = torch.tensor([7, 0, 11], device=DEVICE)
    found = []
    for each in (TRITON, REFERENCE):
        keys, values = torch.zeros(2, 12, num_kv_heads, head_dim, dtype=dtype, device=DEVICE)
        query = each.rotate_and_write(qkv.clone(), keys, values, slots, norms=norms, rotation=rotation)
        found.append((query, keys, values))
    close(found[0], found[1], dtype)
    assert torch.equal(found[0][2], found[1][2])
    others = [slot for slot in range(12) if slot not in slots.tolist()]
    assert found[0][1][others].count_nonzero() == found[0][2][others].count_nonzero() == 0


@pytest.mark.parametrize("dtype", EACH_TYPE)
@pytest.mark.parametrize(("source", "target", "count"), [(16, 48, 16), (50, 1, 3), (0, 63, 1), (7, 9, 0)])
def test_kv_is_copied_in_all_pools(source: int, target: int, count: int, dtype: torch.dtype) -> None:
    pools = random(5, 64, 3, 40, dtype=dtype)
    expected = pools.clone()
    REFERENCE.copy_kv(expected, source, target, count)
    TRITON.copy_kv(pools, source, target, count)
    assert torch.equal(pools, expected)


def test_weights_are_not_quantized() -> None:
    with pytest.raises(NoSuchQuantization, match="triton has no quantization 'int8'; it has: none"):
        TRITON.packing("int8")
