"""Settings that are several names: a flag given once for each, or one value with commas."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode


def split_names(value: Any) -> Any:
    """Returns the names between the commas. Anything but a string is returned as it is."""
    return tuple(name for part in value.split(",") if (name := part.strip())) if isinstance(value, str) else value


_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s]+", re.IGNORECASE)


def _checked_origins(names: tuple[str, ...]) -> tuple[str, ...]:
    origins = tuple(name.rstrip("/").lower() for name in names)
    for origin in origins:
        if origin not in ("*", "null") and not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin} is no origin, such as https://app.example or http://localhost:3000, and not *")
    return origins


_HOST = re.compile(r"\*|(\*?\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?", re.IGNORECASE)


def _checked_hosts(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not _HOST.fullmatch(name):
            raise ValueError(f"{name} is no host's name without a port, such as llm.example or *.example, and not *")
    return tuple(name.rstrip(".").lower() for name in names)


Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_names), AfterValidator(_checked_origins)]
Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_names), AfterValidator(_checked_hosts)]


def is_repeatable(annotation: Any) -> bool:
    """Whether a setting of this type may be given more than once."""
    return bool(annotation == tuple[str, ...])
