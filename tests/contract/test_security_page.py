"""docs/security.md names tests and settings that exist."""

import re
from pathlib import Path

from xylem.shared.runtime.settings import known_names

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def test_what_it_says_is_tested_there() -> None:
    named = set(re.findall(r"`((?:tests/[\w/]+/)?test_\w+\.py)`", PAGE))
    assert len(named) > 5
    for name in named:
        assert (ROOT / name).is_file() if "/" in name else list((ROOT / "tests").rglob(name)), name


def test_its_settings_exist() -> None:
    own_flags_of_commands = {"api_key", "ca_file", "state_file"}  # of xylem chat and xylem serve
    for flag in re.findall(r"`--([a-z-]+)`", PAGE):
        assert flag.replace("-", "_") in known_names() | own_flags_of_commands, flag
