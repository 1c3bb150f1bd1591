"""How much memory the KV pool gets: what is left of the share of the device that the executor may have."""

from xylem.services.executor.model_runner.cuda.device import Memory
from xylem.shared.model_info.model_card import ModelError

GB = 1e9


def kv_pages(memory: Memory, *, step_bytes: int, fraction: float, page_bytes: int) -> int:
    """Pages of page_bytes each that fit into `fraction` of the device, beside all else.

    memory: with the weights loaded. step_bytes: what the largest step takes; it is kept free twice, for steps whose
    kernels are launched one by one, and for the memory of the graphs. Raises ModelError with the numbers when no page
    is left.
    """
    taken = memory.total - memory.free  # by weights, libraries, and whoever else is on the device
    left = int(fraction * memory.total) - taken - 2 * step_bytes
    if left < page_bytes:
        raise ModelError(
            f"the model leaves no room for KV: {fraction:g} of the GPU's {memory.total / GB:.2f} GB may be used "
            f"(memory_fraction); {taken / GB:.2f} GB are taken, {memory.allocated / GB:.2f} of them by the weights, "
            f"steps need {2 * step_bytes / GB:.2f} GB (token_budget, max_running), a page {page_bytes / GB:.4f} GB"
        )
    return left // page_bytes
