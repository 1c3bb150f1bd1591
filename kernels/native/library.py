"""The C sources as one shared library, compiled at the first use and kept.

A call costs a microsecond or two and releases the interpreter lock. Threads are the library's own (source/pool.c), as
many as torch is told to use: it asks the OpenMP runtime, which torch has loaded.
"""

import ctypes
import functools
import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from xylem.kernels.failures import BackendUnavailable

log = logging.getLogger(__name__)

SOURCES = Path(__file__).with_name("source")
BUILD_TIMEOUT_S = 120

# As /proc/cpuinfo and as the compiler call them.
FEATURES = {
    "avx512f": "-mavx512f",
    "avx512bw": "-mavx512bw",
    "avx512dq": "-mavx512dq",
    "avx512vl": "-mavx512vl",
    "avx512_bf16": "-mavx512bf16",
    "avx512_vnni": "-mavx512vnni",
    "fma": "-mfma",
    "amx_tile": "-mamx-tile",
    "amx_bf16": "-mamx-bf16",
    "amx_int8": "-mamx-int8",
}
FLAGS = ("-O3", "-std=gnu11", "-shared", "-fPIC", "-fopenmp", "-fno-math-errno", "-Wall", *FEATURES.values())


@functools.cache
def library() -> ctypes.CDLL:
    """Compiles it if need be. Raises BackendUnavailable that says what is missing."""
    missing = FEATURES.keys() - _features()
    if missing:
        raise BackendUnavailable(f"this processor has no {', '.join(sorted(missing))}")
    path = prebuilt() if prebuilt().exists() else _kept()
    try:
        loaded = ctypes.CDLL(str(path))
    except OSError as error:
        raise BackendUnavailable(f"{path} can't be loaded: {error}") from None
    if not loaded.xylem_begin():
        raise BackendUnavailable("the operating system does not allow AMX")
    return loaded


def build(target: Path) -> None:
    """Compiles the sources. Raises BackendUnavailable when there is no compiler, or with what it says."""
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise BackendUnavailable("there is no C compiler")
    target.parent.mkdir(parents=True, exist_ok=True)
    sources = sorted(str(source) for source in SOURCES.glob("*.c"))
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        built = Path(folder) / target.name
        command = [compiler, *FLAGS, "-o", str(built), *sources, "-lm"]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S)
        except subprocess.CalledProcessError as error:
            raise BackendUnavailable(f"{compiler} does not compile it: {error.stderr[-2000:]}") from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BackendUnavailable(f"{compiler} does not compile it: {error}") from None
        built.replace(target)  # at once: another process may be loading or building the same


def prebuilt() -> Path:
    """Returns the path of a library that was compiled into the package, for images without a compiler."""
    return Path(__file__).with_name(_name())


def _name() -> str:
    """Returns the file name of the library that these sources and flags give."""
    content = hashlib.sha256(repr(FLAGS).encode())
    for source in sorted(SOURCES.iterdir()):
        content.update(source.name.encode() + source.read_bytes())
    return f"native-{content.hexdigest()[:16]}.so"


def _kept() -> Path:
    """The library in the user's cache folder."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xylem"
    path = folder / _name()
    if not path.exists():
        log.info("compiling the native kernels")
        try:
            build(path)
        except OSError as error:
            raise BackendUnavailable(f"{folder} can't be written: {error}") from None
    return path


def _features() -> set[str]:
    """Returns the processor's flags as Linux tells them; none elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return set()
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return set(flags.partition(":")[2].split())


ELEMENTS = {torch.float32: 0, torch.bfloat16: 1}  # the types that kernels know, and how they are told: is_bf16

_KINDS = {"p": ctypes.c_void_p, "l": ctypes.c_int64, "i": ctypes.c_int32, "f": ctypes.c_float}


def kernel(name: str, parameters: str) -> Callable[..., None]:
    """A function of the library. parameters: one letter each, p: pointer, l: int64, i: int32, f: float."""
    found = getattr(library(), name)
    found.argtypes = [_KINDS[letter] for letter in parameters]
    found.restype = None
    return found  # type: ignore[no-any-return]


def count(name: str, parameters: str) -> Callable[..., int]:
    """A function of the library that gives an int64."""
    found = kernel(name, parameters)
    found.restype = ctypes.c_int64  # type: ignore[attr-defined]
    return found  # type: ignore[return-value]


def address(tensor: torch.Tensor | None) -> int | None:
    """Returns the address of a contiguous tensor's memory; null for None."""
    if tensor is None:
        return None
    assert tensor.is_contiguous()
    return tensor.data_ptr()
