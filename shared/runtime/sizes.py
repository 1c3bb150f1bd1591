"""Numbers as people write them: bytes such as 512MiB or 2GB, tokens such as 32k."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

BINARY = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
DECIMAL = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}

_BYTES = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b?)\s*", re.IGNORECASE | re.ASCII)
_TOKENS = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kKmM]?)\s*", re.ASCII)


def parse_bytes(value: Any) -> Any:
    """Returns a number of bytes: 2GB is decimal, 2GiB and 2G (as Docker has it) are binary.

    Anything else is returned as it is, for the check of the type to refuse.
    """
    found = _BYTES.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    number, prefix, unit = found.groups()
    factors = DECIMAL if unit.lower() == "b" else BINARY
    return _whole(float(number) * factors[prefix.lower()], value)


def parse_tokens(value: Any) -> Any:
    """Returns a number of tokens: 32k is 32,000 and 32K is 32,768, as vLLM has it.

    Anything else is returned as it is, for the check of the type to refuse.
    """
    found = _TOKENS.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    number, prefix = found.groups()
    factors = DECIMAL if prefix.islower() else BINARY
    return _whole(float(number) * factors[prefix.lower()], value)


def _whole(number: float, written: str) -> int | str:
    return int(number) if number.is_integer() else written


Bytes = Annotated[int, BeforeValidator(parse_bytes)]
Tokens = Annotated[int, BeforeValidator(parse_tokens)]
