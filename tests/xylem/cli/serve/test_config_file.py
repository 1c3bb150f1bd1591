from pathlib import Path

import pytest

from xylem.cli.serve.config_file import arguments_of
from xylem.cli.serve.foreign.translate import FlagRefused

SWITCHES = {"strict-max-tokens"}
OWN = SWITCHES | {"model", "max-running", "port", "replicas", "prefix-cache", "context-length"}


def read(folder: Path, text: str, **environment: str) -> list[str]:
    path = folder / "serve.toml"
    path.write_text(text)
    return arguments_of(path, OWN, SWITCHES, environment)


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("", []),
        ('model = "m"\nmax-running = 32', ["--model", "m", "--max-running", "32"]),
        ("max_running = 32", ["--max-running", "32"]),
        ("max-num-seqs = 32", ["--max-running", "32"]),
        ("disable-radix-cache = true", ["--prefix-cache", "off"]),
        ("disable-radix-cache = false", []),
        ("strict-max-tokens = true\nport = 1", ["--strict-max-tokens", "true", "--port", "1"]),
        ("strict_max_tokens = false", ["--strict-max-tokens", "false"]),
        ('context-length = "32k"', ["--context-length", "32k"]),
        ('replicas = ["executor=2", "tokenizer=2"]', ["--replicas", "executor=2,tokenizer=2"]),
    ],
)
def test_keys_are_flags(tmp_path: Path, text: str, arguments: list[str]) -> None:
    assert read(tmp_path, text) == arguments


def test_the_environment_goes_first(tmp_path: Path) -> None:
    assert read(tmp_path, "max-running = 32\nport = 1", XYLEM_MAX_RUNNING="4") == ["--port", "1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max-runing = 1", "unknown key max-runing; did you mean max-running?"),
        ("model = ", "is no TOML"),
        ("[gateway]\nport = 1", "unknown key gateway"),
        ("port = {a = 1}", "port must be a string"),
        ("tp = 2", "one device"),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(FlagRefused, match=said.replace("?", "[?]")):
        read(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FlagRefused, match="can't be read"):
        arguments_of(tmp_path / "none.toml", OWN)
