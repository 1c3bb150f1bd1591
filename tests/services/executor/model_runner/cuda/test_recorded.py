"""The stand-in for CUDA graphs has their traps, so that the runner's tests can fall into them."""

import itertools
from collections.abc import Callable

import pytest
import torch

from tests.services.executor.model_runner.cuda.recorded import HostLooked, RecordingDevice


class Sums:
    def __init__(self) -> None:
        self.values = torch.tensor([1.0, 2.0])
        self.factor = 3.0
        self.sums = torch.zeros(2)

    def work(self) -> None:
        self.sums.copy_(self.values.view(1, 2).squeeze(0) * self.factor + self.sums)


def test_what_is_written_is_seen() -> None:
    sums = Sums()
    replay = RecordingDevice().capture(sums.work)
    sums.sums.zero_()
    sums.values.fill_(5.0)
    replay()
    replay()
    assert sums.sums.tolist() == [30.0, 30.0]


def test_what_is_replaced_is_not_seen() -> None:
    sums = Sums()
    replay = RecordingDevice().capture(sums.work)
    before = sums.sums
    before.zero_()
    sums.values, sums.factor, sums.sums = torch.tensor([9.0, 9.0]), 100.0, torch.zeros(2)
    replay()
    assert before.tolist() == [3.0, 6.0]
    assert sums.sums.tolist() == [0.0, 0.0]


LOOKS: list[Callable[[torch.Tensor], object]] = [
    lambda t: t.tolist(),
    lambda t: t.numpy(),
    lambda t: int(t[0]),
    lambda t: t[t > 0],
    lambda t: bool(t.any()),
    lambda t: t + torch.tensor([2.0, 3.0]),
]


@pytest.mark.parametrize("look", LOOKS)
def test_nobody_looks(look: Callable[[torch.Tensor], object]) -> None:
    calls = itertools.count()

    def work() -> None:
        if next(calls):  # what is done once before may be anything
            look(torch.ones(2))

    with pytest.raises(HostLooked):
        RecordingDevice().capture(work)


def test_a_download_is_of_its_time() -> None:
    tensor = torch.ones(2)
    download = RecordingDevice().download(tensor)
    tensor.zero_()
    assert download.wait().tolist() == [1.0, 1.0]
