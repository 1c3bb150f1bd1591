"""Without the packages of the services, `xylem` is a client that says how to become more."""

import subprocess
import sys

import pytest

SERVERS = ("pydantic_settings", "fastapi", "nats", "opentelemetry", "tokenizers", "torch", "uvloop")
WITHOUT_SERVERS = f"""
import sys
for name in {SERVERS!r}:
    sys.modules[name] = None
from xylem.cli.app import app
app(prog_name="xylem")
"""


def run_as_client(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_SERVERS, *arguments], capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("arguments", [("--help",), ("chat", "--help"), ("version",)])
def test_a_client_works(arguments: tuple[str, ...]) -> None:
    ended = run_as_client(*arguments)
    assert ended.returncode == 0, ended.stderr


def test_chat_asks_the_gateway() -> None:
    ended = run_as_client("chat", "--url", "http://127.0.0.1:9")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("arguments", [(), ("--model", "some/model", "--port", "80")])
def test_serve_says_in_one_line_what_is_missing(arguments: tuple[str, ...]) -> None:
    ended = run_as_client("serve", *arguments)
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert "is missing: pip install 'xylem-serve[serve]'" in line


def test_check_needs_no_server() -> None:
    ended = run_as_client("check")
    assert "Traceback" not in ended.stderr
    assert "Packages" in ended.stdout
