"""The file of `xylem serve --config`: flags as keys of a TOML file."""

import difflib
import os
import tomllib
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from xylem.cli.serve.foreign.translate import BY_NAME, FlagRefused, translate
from xylem.shared.runtime.settings import PREFIX


def arguments_of(
    path: Path, own: Set[str], switches: Set[str] = frozenset(), environment: Mapping[str, str] = os.environ
) -> list[str]:
    """Returns the file's content as flags; those that the environment sets are left out.

    own, switches: see `translate`. Flags of other systems are taken as on the command line.
    Raises FlagRefused for a file that can't be read, a key that nobody knows and a value that is no flag's.
    """
    arguments: list[str] = []
    for key, value in _read(path).items():
        name = key.replace("_", "-")
        if name not in own | BY_NAME.keys():
            near = difflib.get_close_matches(name, sorted(own), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise FlagRefused(f"{path}: unknown key {key}{hint}")
        arguments += _flags(path, name, value)
    translated = translate(arguments, own, switches).arguments
    pairs = zip(translated[::2], translated[1::2], strict=True)
    return [word for flag, value in pairs if _variable(flag) not in environment for word in (flag, value)]


def _variable(flag: str) -> str:
    return PREFIX + flag.removeprefix("--").replace("-", "_").upper()


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise FlagRefused(f"--config {path} can't be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise FlagRefused(f"--config {path} is no TOML: {error}") from None


def _flags(path: Path, name: str, value: Any) -> list[str]:
    match value:
        case bool():
            return [f"--{name}={str(value).lower()}"]
        case str() | int() | float():
            return [f"--{name}={value}"]
        case list() if all(isinstance(each, str) for each in value):
            return [f"--{name}={each}" for each in value]
        case _:
            raise FlagRefused(f"{path}: {name} must be a string, a number, true, false, or a list of strings")
