from pathlib import Path

import pytest

from xylem.cli.check.free_memory import free_memory_bytes


def group(folder: Path, *, limit: str, current: int, inactive_file: int = 0) -> Path:
    (folder / "memory.max").write_text(limit + "\n")
    (folder / "memory.current").write_text(f"{current}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {inactive_file}\n")
    return folder


def meminfo(folder: Path) -> Path:
    path = folder / "meminfo"
    path.write_text("MemTotal:       2000 kB\nMemAvailable:   1000 kB\n")
    return path


@pytest.mark.parametrize(
    ("limit", "current", "inactive_file", "free"),
    [("max", 5, 0, 1000 << 10), ("1000", 600, 0, 400), ("1000", 600, 100, 500), (str(1 << 40), 0, 0, 1000 << 10)],
)
def test_the_smaller_bound_counts(tmp_path: Path, limit: str, current: int, inactive_file: int, free: int) -> None:
    folder = group(tmp_path, limit=limit, current=current, inactive_file=inactive_file)
    assert free_memory_bytes(meminfo(tmp_path), folder) == free


def test_a_system_that_says_nothing(tmp_path: Path) -> None:
    assert free_memory_bytes(tmp_path / "none", tmp_path / "none") is None
