"""The text files of a model folder, which anybody may have made: what is no regular file, or too large, is not read."""

import json
import os
import stat
from pathlib import Path
from typing import Any

from xylem.shared.model_info.model_error import ModelError

MAX_FILE_BYTES = 1 << 29  # the largest tokenizer.json that is known has 35 MB
MAX_DIGITS = 300  # of an integer: with more it would overflow as soon as it is multiplied by a float


def read_text(path: Path) -> str:
    """Returns a file as text, without a byte order mark.

    Raises FileNotFoundError; ModelError for what is no regular file (a pipe would be waited for, a device has no end),
    is larger than MAX_FILE_BYTES, or is not UTF-8.
    """
    try:
        # Without O_NONBLOCK the opening of a pipe waits for somebody who writes.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ModelError(f"{path} is not a regular file")
            if status.st_size > MAX_FILE_BYTES:
                raise ModelError(f"{path} has {status.st_size} bytes; up to {MAX_FILE_BYTES} are read")
            return file.read().decode("utf-8-sig")  # editors of Windows write a byte order mark
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} can't be read: {error}") from None


def read_json(path: Path) -> dict[str, Any]:
    """Returns the JSON object in a file. Raises ModelError when it is missing, truncated or something else."""
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise ModelError(f"{path} is missing") from None
    return parse_object(text, str(path))


def parse_object(text: str, source: str) -> dict[str, Any]:
    """Returns the JSON object that a text holds; integers of more than MAX_DIGITS become floats, which no size is.

    Raises ModelError that names the source.
    """
    try:
        value = json.loads(text, parse_int=_parse_int)
    except ValueError as error:
        raise ModelError(f"{source} can't be read as JSON: {error}") from None
    except RecursionError:
        raise ModelError(f"{source} is nested too deeply") from None
    if not isinstance(value, dict):
        raise ModelError(f"{source} holds no JSON object")
    return value


def _parse_int(digits: str) -> int | float:
    # tokenizer_config.json has 10**30 in many folders: "no limit".
    return int(digits) if len(digits.lstrip("-")) <= MAX_DIGITS else float(digits)
