"""A command line with flags of other systems becomes one of `xylem serve`."""

import json
from collections.abc import Sequence, Set
from dataclasses import dataclass, field

from xylem.cli.serve.foreign.flag import ForeignFlag, Kind
from xylem.cli.serve.foreign.table import FOREIGN_FLAGS

TRUTH = ("true", "false")
BY_NAME = {name: flag for flag in FOREIGN_FLAGS for name in flag.names}


class FlagRefused(Exception):
    """A flag that asks for what is not there; the message says so and what to do instead."""


@dataclass(slots=True)
class Translation:
    """arguments: for `xylem serve`. notes: one line for each flag that was not taken as it stands."""

    arguments: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    replicas: list[str] = field(default_factory=list)
    overrides: dict[str, object] = field(default_factory=dict)


def translate(arguments: Sequence[str], own: Set[str], switches: Set[str] = frozenset()) -> Translation:
    """Returns the command line with every foreign flag mapped or left out.

    own: the names of our flags, without dashes; they are taken before foreign ones, with dashes or underscores. Each of
    them gets a value. switches: those of which a bare one means true. Raises FlagRefused.
    """
    found = Translation()
    rest = list(arguments)
    positional: list[str] = []
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            positional = [argument, *rest]
            break
        written, equals, value = argument.partition("=")
        name = _name_of(written, own)
        if name in own:
            if not equals and name in switches and not (rest and rest[0] in TRUTH):
                value = "true"
            elif not equals and rest:
                value = rest.pop(0)
            elif not equals:
                found.arguments.append(argument)  # whoever parses it says what is missing
                break
            _give(found, name, value)
        elif name in BY_NAME:
            flag = BY_NAME[name]
            if not equals and not flag.is_switch and not rest:
                raise FlagRefused(f"{written} needs a value")
            _take(found, flag, written, value if equals else "true" if flag.is_switch else rest.pop(0))
        else:
            found.arguments.append(argument)
    if found.replicas:
        found.arguments += ["--replicas", ",".join(found.replicas)]
    if found.overrides:
        found.arguments += ["--model-overrides", json.dumps(found.overrides)]
    found.arguments += positional
    return found


def _name_of(written: str, own: Set[str]) -> str:
    """Returns a flag's name without dashes; empty for what is no flag, or one that nobody knows."""
    if not written.startswith("-") or written == "-":
        return ""
    name = written.lstrip("-").replace("_", "-")
    # A single letter of ours would be written with one dash, and vLLM's -tp and llama.cpp's -ngl are as well.
    known = name in own if written.startswith("--") else False
    return name if known or name in BY_NAME else ""


def _take(found: Translation, flag: ForeignFlag, written: str, value: str) -> None:
    if flag.is_switch and value.lower() in ("false", "0"):
        return
    shown = written if flag.is_switch or flag.is_secret else f"{written} {value}"
    if flag.kind is Kind.REFUSED and value not in flag.harmless:
        raise FlagRefused(f"{shown}: {flag.why}")
    if flag.kind is not Kind.MAPPED:
        found.notes.append(f"{shown} is ignored: {flag.why}")
        return
    ours = flag.template.format(flag.values.get(value, value))
    found.notes.append(f"{shown} is --{flag.to} {ours}")
    _give(found, flag.to, ours)


def _give(found: Translation, name: str, value: str) -> None:
    """Gives one of our flags a value. Those that several flags may add to are joined at the end."""
    if name == "replicas":
        found.replicas.append(value)
    elif name == "model-overrides":
        found.overrides |= _object(value)
    else:
        found.arguments += [f"--{name}", value]


def _object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise FlagRefused(f"--model-overrides {text}: no JSON: {error}") from None
    if not isinstance(value, dict):
        raise FlagRefused(f"--model-overrides {text}: a JSON object is needed")
    return value
