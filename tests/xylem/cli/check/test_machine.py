import socket
from pathlib import Path

from xylem.cli.check import machine


def test_a_taken_port_is_a_warning_with_another_choice() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = machine.listening(port)
    assert found.verdict == "warn"
    assert f"--port {port + 1}" in found.advice
    assert machine.listening(port).verdict == "ok"


def test_processor_features_are_read_where_linux_says_them(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nflags\t\t: fpu avx2 amx_bf16 sse\n")
    assert machine.processor(cpuinfo).detail.endswith(", avx2 amx_bf16")
    assert "threads" in machine.processor(tmp_path / "none").detail


def test_little_memory_is_a_warning(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  8388608 kB\nMemAvailable:  1048576 kB\n")
    found = machine.memory(meminfo)
    assert found is not None
    assert (found.verdict, found.detail) == ("warn", "1.0 of 8.0 GiB available")
    assert machine.memory(tmp_path / "none") is None
