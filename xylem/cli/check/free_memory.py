"""Memory that this process and its children may still take."""

from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


def free_memory_bytes(meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> int | None:
    """Returns the least of what the machine has available and what its container may still take; None if unknown."""
    machine = machine_memory_bytes(meminfo)
    known = [found for found in (machine and machine[1], _of_container(cgroup)) if found is not None]
    return min(known, default=None)


def machine_memory_bytes(meminfo: Path = MEMINFO) -> tuple[int, int] | None:
    """Returns all of the machine's memory, and what of it is available; None where the system does not say it."""
    try:
        rows = dict(line.split(":", 1) for line in meminfo.read_text(encoding="utf-8").splitlines())
        total, available = (int(rows[name].split()[0]) << 10 for name in ("MemTotal", "MemAvailable"))
    except (OSError, LookupError, ValueError):
        return None
    return total, available


def _of_container(cgroup: Path) -> int | None:
    """Reads the limit of a control group (version 2). File cache within it can be taken back: it counts as free."""
    try:
        limit = (cgroup / "memory.max").read_text(encoding="ascii").strip()
        taken = int((cgroup / "memory.current").read_text(encoding="ascii"))
        rows = dict(line.split() for line in (cgroup / "memory.stat").read_text(encoding="ascii").splitlines())
        return int(limit) - taken + int(rows.get("inactive_file", "0"))
    except (OSError, ValueError):  # no such group, or no limit ("max")
        return None
