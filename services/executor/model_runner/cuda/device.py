"""The device interface of the GPU runner: asynchronous copies, graphs, and the size of memory."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from xylem.kernels.batch_metadata import uploaded
from xylem.services.executor.kv_cache.page_budget import DeviceMemory
from xylem.shared.model_info.model_card import ModelError

Replay = Callable[[], None]


class Download(Protocol):
    def wait(self) -> Tensor:
        """Returns the tensor on the host, as it was when its download began."""


class Device(Protocol):
    """One stream of work: it is done in the order in which it was given."""

    @property
    def device(self) -> torch.device: ...

    def upload(self, column: np.ndarray) -> Tensor:
        """Copies an array to the device; the array may be changed at once."""

    def download(self, tensor: Tensor) -> Download:
        """Begins to copy a tensor to the host."""

    def capture(self, work: Callable[[], None]) -> Replay:
        """Does the work and records it: the same operations on the same memory can be replayed as one.

        The work must not look at any value on the device.
        """

    def memory(self) -> DeviceMemory:
        """Measures the memory when all work is done."""

    def release(self) -> None:
        """Frees memory that no tensor needs, and resets the peak."""


class CudaDevice:
    """An NVIDIA GPU."""

    def __init__(self, name: str) -> None:
        """Raises ModelError when it can't be used."""
        if not torch.cuda.is_available():
            reason = "finds no usable GPU" if torch.version.cuda else "is built without CUDA"
            raise ModelError(f"device = {name}: torch {torch.__version__} {reason}; --device cpu needs none")
        self.device = torch.device(name)
        if self.device.index is None:
            self.device = torch.device("cuda", torch.cuda.current_device())
        if self.device.index >= torch.cuda.device_count():
            raise ModelError(f"device = {name}: there are only {torch.cuda.device_count()} GPUs here, from cuda:0 on")
        torch.cuda.set_device(self.device)
        self._graph_memory = torch.cuda.graph_pool_handle()

    def upload(self, column: np.ndarray) -> Tensor:
        return uploaded(column, self.device)

    def download(self, tensor: Tensor) -> Download:
        return _PinnedDownload(tensor)

    def capture(self, work: Callable[[], None]) -> Replay:
        work()  # compiling and set-up of a first call can't be recorded
        torch.cuda.synchronize(self.device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._graph_memory):
            work()
        return graph.replay

    def memory(self) -> DeviceMemory:
        torch.cuda.synchronize(self.device)
        free, total = torch.cuda.mem_get_info(self.device)
        allocated = torch.cuda.memory_allocated(self.device)
        return DeviceMemory(total, free, allocated, torch.cuda.max_memory_allocated(self.device))

    def release(self) -> None:
        torch.cuda.synchronize(self.device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)


class _PinnedDownload:
    def __init__(self, tensor: Tensor) -> None:
        # torch keeps pinned memory for further use, and gives it out again only when its copies are done.
        self._host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        self._host.copy_(tensor, non_blocking=True)
        self._done = torch.cuda.Event()
        self._done.record()

    def wait(self) -> Tensor:
        self._done.synchronize()
        return self._host
