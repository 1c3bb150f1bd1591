"""Looks at the model before anything starts, so that a person reads one line about it, and at once."""

import importlib.util
from pathlib import Path

from xylem.cli.check.free_memory import free_memory_bytes
from xylem.cli.extras import INSTALL
from xylem.shared.model_info.model_card import ModelError, is_folder
from xylem.shared.runtime.settings import ExecutorSettings

NVIDIA = Path("/dev/nvidiactl")  # there when a process may use a GPU
NEEDED = ("torch", "safetensors")  # packages that only executors import


def check_before_start(settings: ExecutorSettings, *, num_executors: int) -> None:
    """Raises ModelError when the model can't be served here. A model of the hub is asked for its configuration."""
    from xylem.services.executor.model_check import check_files, check_model

    for package in NEEDED:
        if importlib.util.find_spec(package) is None:
            raise ModelError(f"the package {package} is missing: {INSTALL} brings it")
    card = settings.load_model_card()
    if is_folder(settings.model):  # of a hub's model the executor fetches the weights, and shows how far it is
        check_files(card.path)
    check_model(
        card, settings, free_bytes=None if NVIDIA.exists() else free_memory_bytes(), num_executors=num_executors
    )
