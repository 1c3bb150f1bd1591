"""Linear layers: how far they may be from the exact product, in each form that weights are held in."""

import pytest
import torch
from torch import Tensor

from tests.kernels.backends import BACKENDS, NEEDS_NATIVE, REFERENCE
from xylem.kernels import quantization
from xylem.kernels.interface import NoSuchQuantization, Ops

pytestmark = pytest.mark.usefixtures("one_thread")

FORMS = [(backend, form) for backend in BACKENDS.values() for form in backend.linears]
EACH_FORM = pytest.mark.parametrize(
    ("backend", "form"), FORMS, ids=[f"{backend.name}-{form}" for backend, form in FORMS]
)
# Columns, width: less than a tile, odd tails, more than is summed up at once.
SHAPES = [(5, 3), (33, 100), (100, 1031), (48, 5500)]
ROUNDING = 2.0**-24  # of float32
NUM_ROWS = 70
ROW_COUNTS = (1, 2, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65)
# Numbers of x that share a scale, at most, where x is coarsened too.
COARSE_GROUPS = {"int8": 128, "int4": 64}


EACH_DTYPE = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=["bfloat16", "float32"])


def problem(
    shape: tuple[int, int], dtype: torch.dtype = torch.bfloat16, *, num_rows: int = NUM_ROWS
) -> tuple[Tensor, Tensor, Tensor]:
    """x, weight and bias."""
    torch.manual_seed(0)
    x, weight, bias = torch.randn(num_rows, shape[1]), torch.randn(shape) * 0.05, torch.randn(shape[0])
    x[:, 0] *= 50  # an outlier
    return x.to(dtype), weight.to(dtype), bias.to(dtype)


@pytest.mark.parametrize("shape", SHAPES)
@EACH_DTYPE
@EACH_FORM
def test_the_result_is_as_near_as_its_sums_can_be(
    backend: Ops, form: str, dtype: torch.dtype, shape: tuple[int, int]
) -> None:
    x, weight, bias = problem(shape, dtype)
    given = backend.packing(form)(weight.clone(), bias)(x, torch.float32).double()
    left = {"none": weight.float(), "int8": quantization.through_int8(weight.float())}.get(form)
    left = (quantization.through_int4(weight.float()) if left is None else left).double()
    exact = x.double() @ left.T + bias.double()
    magnitude = x.double().abs() @ left.abs().T + bias.double().abs()
    bound = (shape[1] + 8) * ROUNDING * magnitude
    if backend.name != "native" and dtype is torch.bfloat16:  # torch rounds the result, the reference the weight
        bound += 2.0**-8 * exact.abs() + 2.0**-8 * magnitude * (form != "none")
    elif backend.name == "native" and form != "none":
        bound += coarsening(x.double(), left, COARSE_GROUPS[form])
    assert ((given - exact).abs() <= bound).all()


def coarsening(x: Tensor, weight: Tensor, group: int) -> Tensor:
    """How much the result can change when each number of x moves by half of a 127th of the largest of its group."""
    bound = torch.zeros(len(x), len(weight), dtype=torch.float64)
    for start in range(0, x.shape[1], group):
        half_step = x[:, start : start + group].abs().amax(1) / 127 / 2
        bound += half_step[:, None] * weight[:, start : start + group].abs().sum(1) * (1 + 1e-5)
    return bound


@NEEDS_NATIVE
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("form", BACKENDS.get("native", REFERENCE).linears)
@EACH_DTYPE
def test_a_row_is_the_same_bits_in_any_batch_and_with_any_threads(
    form: str, dtype: torch.dtype, shape: tuple[int, int]
) -> None:
    backend = BACKENDS["native"]
    x, weight, bias = problem(shape, dtype)
    linear = backend.packing(form)(weight, bias)
    whole = linear(x)
    for count in ROW_COUNTS:
        assert torch.equal(linear(x[:count]), whole[:count])
        assert torch.equal(linear(x[-count:].clone()), whole[-count:])
    torch.set_num_threads(2)
    with_two = linear(x)
    torch.set_num_threads(1)
    assert torch.equal(with_two, whole)


@EACH_FORM
def test_nothing_comes_of_no_rows(backend: Ops, form: str) -> None:
    x, weight, _ = problem((33, 100), num_rows=0)
    assert backend.packing(form)(weight, None)(x).shape == (0, 33)


def test_a_quantization_that_a_backend_lacks_is_named() -> None:
    with pytest.raises(NoSuchQuantization, match=r"cpu has no quantization 'int8'; it has: none"):
        BACKENDS["cpu"].packing("int8")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_int8_moves_a_weight_by_half_a_step(dtype: torch.dtype) -> None:
    weight = torch.randn(7, 100).to(dtype)
    weight[3] = 0
    codes, scales = quantization.to_int8(weight)
    assert codes.abs().amax(1).tolist() == [127, 127, 127, 0, 127, 127, 127]
    assert ((codes * scales - weight.float()).abs() <= scales * 0.5001).all()


def test_int4_uses_all_steps_and_moves_a_weight_by_half_a_one_or_one_at_the_far_end() -> None:
    weight = torch.randn(50, 200)
    weight[3] = 0
    codes, scales = quantization.to_int4(weight)
    assert codes.shape == (50, 4, quantization.INT4_GROUP)
    assert not codes[3].any()
    assert not codes[:, 3, 200 - 3 * quantization.INT4_GROUP :].any()
    assert (codes.amin(2)[torch.arange(50) != 3] == -8).all()
    assert codes.max() == 7
    moved = (codes * scales.float()).flatten(1)[:, :200] - weight
    steps = scales.float().abs().expand_as(codes).flatten(1)[:, :200]
    far = codes.flatten(1)[:, :200] == 7
    assert (moved.abs()[~far] <= steps[~far] * 0.52).all()  # the scale itself is rounded
    assert (moved.abs()[far] <= steps[far] * 1.04).all()
