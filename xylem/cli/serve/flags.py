"""Every setting as a flag of `xylem serve`: same name, same help, nothing kept in step by hand."""

import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import typer
from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

from xylem.shared.runtime.names import is_repeatable
from xylem.shared.runtime.settings import ALL, Settings

# `serve` says these two itself: nats_url decides whether it starts a server.
OWN = {"nats_url"}


def setting_fields() -> Iterator[tuple[str, str, FieldInfo]]:
    """(help panel, name, field) of every setting: the common ones first, then each service's own."""
    seen = set(OWN)
    kinds: tuple[type[Settings], ...] = (Settings, *ALL)
    for kind in kinds:
        panel = "All services" if kind is Settings else kind.__name__.removesuffix("Settings")
        for name, field in kind.model_fields.items():
            if name not in seen:
                seen.add(name)
                yield panel, name, field


def has_unit(field: FieldInfo) -> bool:
    """Whether a setting is a number that may be written with a unit; its type reads it."""
    return not is_repeatable(field.annotation) and any(isinstance(part, BeforeValidator) for part in field.metadata)


def _parameter(panel: str, name: str, field: FieldInfo) -> inspect.Parameter:
    option = typer.Option(
        "--" + name.replace("_", "-"),
        help=field.description,
        rich_help_panel=panel,
        show_default=str(field.default) if field.default not in ("", ()) else False,
        metavar=("2GiB" if name.endswith("_bytes") else "32k") if has_unit(field) else None,
    )
    value: Any = field.annotation
    if is_repeatable(value):
        value = list[str]
    elif has_unit(field):
        value = str
    elif value is bool:
        value = Literal["true", "false"]  # a bare flag has got "true" by then, from `translate`
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[value | None, option]
    )


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Replaces a command's `**settings` by one flag per setting; one that is not given arrives as None."""
    signature = inspect.signature(command)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    added = [_parameter(*row) for row in setting_fields()]

    # typer reads the signature, and the annotations of the function itself.
    def with_flags(**arguments: Any) -> None:
        command(**arguments)

    with_flags.__name__ = command.__name__
    with_flags.__doc__ = command.__doc__
    with_flags.__signature__ = signature.replace(parameters=[*added, *own])  # type: ignore[attr-defined]
    with_flags.__annotations__ = {p.name: p.annotation for p in [*added, *own]}
    return with_flags
