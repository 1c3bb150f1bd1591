"""Memory that weights lie in."""

import pytest
import torch

from xylem.kernels.failures import BackendUnavailable

try:
    from xylem.kernels.native import memory
except BackendUnavailable as reason:
    pytest.skip(str(reason), allow_module_level=True)


def test_tensors_lie_beside_each_other_and_not_upon_each_other() -> None:
    room = memory.HugePageArena()
    given = [room.zeros((3, size), torch.bfloat16) for size in (1, 100, 7)]
    assert all(tensor.count_nonzero() == 0 for tensor in given)
    for i, tensor in enumerate(given):
        tensor.fill_(i)
    assert [tensor.unique().tolist() for tensor in given] == [[0], [1], [2]]
    assert all(tensor.data_ptr() % memory.LINE_BYTES == 0 and tensor.is_contiguous() for tensor in given)
    assert given[2].data_ptr() - given[0].data_ptr() == 64 + 640


def test_what_is_larger_than_a_block_gets_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "BLOCK_BYTES", memory.PAGE_BYTES)
    room = memory.HugePageArena()
    small = room.zeros((5,), torch.uint8)
    large = room.zeros((memory.PAGE_BYTES + 1,), torch.uint8)
    assert large.data_ptr() % memory.PAGE_BYTES == 0
    assert large.untyped_storage().data_ptr() != small.untyped_storage().data_ptr()
