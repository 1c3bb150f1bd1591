"""The table of backends, and which of them a machine uses."""

import logging
from collections.abc import Callable

import torch

from xylem.kernels.failures import BackendUnavailable
from xylem.kernels.interface import Ops

__all__ = ["BACKENDS", "PREFERRED", "BackendUnavailable", "NoSuchBackend", "load"]

log = logging.getLogger(__name__)


class NoSuchBackend(ValueError):
    """A backend that was asked for by name does not exist."""


def _reference(device: torch.device) -> Ops:
    from xylem.kernels import reference

    return reference.OPS


def _cpu(device: torch.device) -> Ops:
    from xylem.kernels import cpu

    return cpu.OPS


def _native(device: torch.device) -> Ops:
    from xylem.kernels.native import backend

    return backend.OPS


def _triton(device: torch.device) -> Ops:
    try:
        from xylem.kernels import triton
    except ModuleNotFoundError as error:
        raise BackendUnavailable(f"the package {error.name} is not installed") from None
    return triton.load(device)


def _flashinfer(device: torch.device) -> Ops:
    try:
        from xylem.kernels import flashinfer
    except ModuleNotFoundError as error:
        raise BackendUnavailable(f"the package {error.name} is not installed") from None
    return flashinfer.load(device)


# Imported when asked for: a backend may need a package or a device that is not here.
BACKENDS: dict[str, Callable[[torch.device], Ops]] = {
    "reference": _reference,
    "cpu": _cpu,
    "native": _native,
    "triton": _triton,
    "flashinfer": _flashinfer,
}
# Of each kind of device, the fastest first. FlashInfer has to be asked for: it may compile for minutes at the start.
PREFERRED = {"cpu": ("native", "cpu"), "cuda": ("triton",)}


def load(name: str, device: torch.device) -> Ops:
    """Returns the backend `name`; 'auto' takes the fastest one that this machine has for the device.

    Raises NoSuchBackend, and BackendUnavailable for one that was asked for by name.
    """
    if name != "auto":
        if name not in BACKENDS:
            raise NoSuchBackend(f"there is no kernel backend {name!r}; there are: auto, {', '.join(BACKENDS)}")
        return BACKENDS[name](device)
    for preferred in PREFERRED.get(device.type, ()):
        try:
            return BACKENDS[preferred](device)
        except BackendUnavailable as reason:
            log.info("the kernel backend %s is not used: %s", preferred, reason)
    return BACKENDS["reference"](device)
