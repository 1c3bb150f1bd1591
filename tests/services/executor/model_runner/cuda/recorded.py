"""A device on the CPU that has graphs: it records the operations of torch, and repeats them on the same memory.

As with a CUDA graph, nothing of the host's work is repeated: whatever Python has worked out while the graph was
captured, and every tensor that it has named, stays as it was. A buffer that is replaced afterwards, and not written to,
is not seen. And as there, the host can't look at a value in between.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from xylem.services.executor.kv_cache.page_budget import DeviceMemory
from xylem.services.executor.model_runner.cuda.device import Replay

# By which the host learns values of a device, or sends it some, and waits for it.
LOOKS = {torch.Tensor.tolist, torch.Tensor.numpy, torch.Tensor.cpu, torch.tensor, torch.as_tensor, torch.from_numpy}
WAITS = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default, torch.ops.aten.equal.default}
BY_MASK = {torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default}  # a mask has to be counted


class HostLooked(Exception):
    """A value was looked at while a graph was captured."""


class _Blind(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in LOOKS:
            raise HostLooked(str(func))
        return func(*args, **(kwargs or {}))


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Any, Any, Any, Any]] = []  # operation, arguments, named ones, results

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        masks = func in BY_MASK and any(index is not None and index.dtype is torch.bool for index in args[1])
        if masks or func in WAITS:
            raise HostLooked(str(func))
        found = func(*args, **(kwargs or {}))
        self.done.append((func, args, kwargs or {}, found))
        return found

    def replay(self) -> None:
        for func, args, kwargs, before in self.done:
            now = func(*args, **kwargs)
            for new, old in zip(tree_flatten(now)[0], tree_flatten(before)[0], strict=True):
                if isinstance(new, Tensor) and new.untyped_storage().data_ptr() != old.untyped_storage().data_ptr():
                    old.copy_(new)


class _Taken:
    def __init__(self, tensor: Tensor) -> None:
        self._then = tensor.clone()

    def wait(self) -> Tensor:
        return self._then


class RecordingDevice:
    """num_replays counts them. uploads are copies: their arrays may be changed at once."""

    def __init__(self) -> None:
        self.device = torch.device("cpu")
        self.num_replays = 0
        self.num_captured = 0
        self.total = 10**9
        self.taken = 10**8

    def upload(self, column: np.ndarray) -> Tensor:
        return torch.from_numpy(column.copy())

    def download(self, tensor: Tensor) -> _Taken:
        return _Taken(tensor)

    def capture(self, work: Callable[[], None]) -> Replay:
        self.num_captured += 1
        work()
        recorder = _Recorder()
        with recorder, _Blind():
            work()

        def replay() -> None:
            self.num_replays += 1
            recorder.replay()

        return replay

    def memory(self) -> DeviceMemory:
        return DeviceMemory(self.total, self.total - self.taken, self.taken, self.taken)

    def release(self) -> None:
        pass
