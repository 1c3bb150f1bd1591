"""Makes the model runner that the settings ask for, loaded and warm."""

from collections.abc import Callable

import torch

from xylem.services.executor.model_runner.cpu import CpuModelRunner
from xylem.services.executor.model_runner.cuda.device import CudaDevice
from xylem.services.executor.model_runner.cuda.runner import CudaModelRunner
from xylem.services.executor.model_runner.loaded_model import LoadedModel
from xylem.services.executor.model_runner.progress import capturing_progress, loading_progress
from xylem.services.executor.step.runner_interface import ModelRunner
from xylem.services.executor.weights.loader import Progress
from xylem.shared.model_info.model_card import ModelCard, ModelError
from xylem.shared.runtime.settings import ExecutorSettings

CPU_KV_BYTES = 512 << 20


def make_model_runner(
    card: ModelCard, settings: ExecutorSettings, wrap_progress: Callable[[Progress], Progress]
) -> ModelRunner:
    """Loads and warms up a model. wrap_progress: wraps the callback that shows the progress of the work.

    Raises ModelError.
    """
    if settings.device == "auto":
        settings = settings.model_copy(update={"device": "cuda" if torch.cuda.is_available() else "cpu"})
    try:
        kind = torch.device(settings.device).type
    except RuntimeError as error:
        raise ModelError(f"device = {settings.device}: {error}") from None
    if kind == "cuda":
        return _on_cuda(card, settings, wrap_progress)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    with loading_progress(settings.model_name) as show:
        show(0, 1)
        runner = CpuModelRunner(
            card,
            device=settings.device,
            dtype=_dtype(settings),
            page_size=settings.page_size,
            num_pages=settings.kv_pages,
            kv_bytes=settings.kv_bytes or CPU_KV_BYTES,
            kernels=settings.kernels,
            quantization=settings.quantization,
            progress=wrap_progress(show),
        )
    runner.warm_up()
    if not settings.threads and settings.device == "cpu":
        runner.choose_num_threads()
    return runner


def _on_cuda(
    card: ModelCard, settings: ExecutorSettings, wrap_progress: Callable[[Progress], Progress]
) -> CudaModelRunner:
    device = CudaDevice(settings.device)
    with loading_progress(settings.model_name) as show:
        show(0, 1)
        try:
            model = LoadedModel(
                card,
                device=device.device,
                dtype=_dtype(settings),
                kernels=settings.kernels,
                quantization=settings.quantization,
                progress=wrap_progress(show),
            )
        except torch.OutOfMemoryError as error:
            raise ModelError(f"the weights of {settings.model} don't fit into the GPU's memory: {error}") from None
    with capturing_progress(settings.model_name) as show:
        return CudaModelRunner(
            model,
            device,
            page_size=settings.page_size,
            max_running=settings.max_running,
            token_budget=settings.token_budget,
            context_length=card.context_length,
            num_pages=settings.kv_pages,
            kv_bytes=settings.kv_bytes,
            memory_fraction=settings.memory_fraction,
            progress=wrap_progress(show),
        )


def _dtype(settings: ExecutorSettings) -> torch.dtype:
    if settings.dtype == "auto":
        return torch.float32 if settings.device == "cpu" else torch.bfloat16
    return torch.float32 if settings.dtype == "float32" else torch.bfloat16
