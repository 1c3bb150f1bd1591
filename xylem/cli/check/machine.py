"""Python, the processor, memory and the ports."""

import os
import platform
import socket
import sys
from pathlib import Path

from xylem.cli.check.finding import Finding
from xylem.cli.check.free_memory import MEMINFO, machine_memory_bytes

OLDEST_PYTHON = (3, 11)
# What makes matrix products quick, the names Linux gives it.
FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16", "sve")
LEAST_MEMORY_GIB = 2.0


def python() -> Finding:
    """The interpreter that the services would run on."""
    detail = f"{platform.python_version()} ({platform.python_implementation()}, {sys.executable})"
    if sys.version_info < OLDEST_PYTHON:
        return Finding("Python", "fail", detail, f"use Python {'.'.join(map(str, OLDEST_PYTHON))} or newer")
    return Finding("Python", "ok", detail)


def system() -> Finding:
    """The platform. Only Linux ties children to the life of their parent."""
    detail = f"{platform.system()} {platform.release()} on {platform.machine()}"
    if sys.platform.startswith("linux"):
        return Finding("Platform", "ok", detail)
    return Finding(
        "Platform", "warn", detail, "if xylem serve is killed by SIGKILL, its services must be ended by hand"
    )


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> Finding:
    """Cores that this process may use, and what they can."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    detail = f"{usable} of {os.cpu_count()} threads"
    try:
        flags = _flags(cpuinfo.read_text(encoding="utf-8"))
    except OSError:
        return Finding("Processor", "ok", detail)
    detail += f", {' '.join(f for f in FEATURES if f in flags) or 'no vector extensions that we know'}"
    if usable < 2:
        return Finding("Processor", "warn", detail, "six services and a model share one thread: expect it to be slow")
    return Finding("Processor", "ok", detail)


def _flags(cpuinfo: str) -> set[str]:
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return set(value.split())
    return set()


def memory(meminfo: Path = MEMINFO) -> Finding | None:
    """Memory that is free to use, where the system says it."""
    known = machine_memory_bytes(meminfo)
    if known is None:
        return None
    total, free = (num_bytes / (1 << 30) for num_bytes in known)
    detail = f"{free:.1f} of {total:.1f} GiB available"
    if free < LEAST_MEMORY_GIB:
        return Finding("Memory", "warn", detail, "take a small model and a small --kv-bytes")
    return Finding("Memory", "ok", detail)


def listening(port: int, host: str = "127.0.0.1") -> Finding:
    """Whether the gateway could listen on its port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            advice = f"end what uses it, or serve with --port {port + 1 if port < 65535 else 8000}"
            return Finding("Port", "warn", f"{host}:{port}: {error.strerror}", advice)
    return Finding("Port", "ok", f"{host}:{port} is free")
