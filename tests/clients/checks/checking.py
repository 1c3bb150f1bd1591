"""What every file of checks shares: where the server is, what it knows, and how an outcome is told.

These files run in environments that hold a client package and nothing of Xylem, so they import only one another and
the standard library besides that package. They say what they found in lines of standard output that begin with MARK;
whatever else a package prints stands between them.
"""

import json
import os
import time
import traceback
from collections.abc import Callable
from typing import TypeVar

URL = os.environ["XYLEM_URL"]
KEY = os.environ.get("XYLEM_API_KEY", "")  # empty: the server asks for none
MODEL = os.environ.get("XYLEM_MODEL", "demonstration")
ANY_KEY = KEY or "none"  # the packages refuse to start without one

MARK = "CHECK "
SOON_S = 30.0

Check = Callable[[], None]
Raised = TypeVar("Raised", bound=Exception)
_checks: list[tuple[Check, bool]] = []


class Failed(Exception):
    """The server did something else than a client expects."""


def check(function: Check) -> Check:
    """Registers a check: a function that raises when the server does not do what its name says."""
    _checks.append((function, False))
    return function


def check_with_key(function: Check) -> Check:
    """A check that says something only where the server asks for a key."""
    _checks.append((function, True))
    return function


def equal(found: object, expected: object) -> None:
    """Raises Failed with both values."""
    if found != expected:
        raise Failed(f"{found!r}, not {expected!r}")


def holds(condition: object, what: object) -> None:
    """Raises Failed with `what` was found. An assert would say nothing under python -O."""
    if not condition:
        raise Failed(f"found {what!r}")


def raises(kind: type[Raised], do: Callable[[], object]) -> Raised:
    """The exception, which is of this class or of one that a package has made from it. Raises Failed without one."""
    try:
        found = do()
    except kind as error:
        return error
    raise Failed(f"no {kind.__name__}, but {found!r}")


def soon(condition: Callable[[], object]) -> None:
    """Asks again and again; what is asked is a request, and takes its time. Raises Failed after SOON_S."""
    end_s = time.monotonic() + SOON_S
    while not condition():
        if time.monotonic() > end_s:
            raise Failed(f"not within {SOON_S:g} s")


def run(client: str, version: str) -> None:
    """Runs all that was registered, in the order of the files."""
    _tell(client=client, version=version)
    for function, needs_key in _checks:
        name = function.__name__
        if needs_key and not KEY:
            _tell(check=name, outcome="skipped", reason="the server asks for no key")
            continue
        began_s = time.monotonic()
        reason = where = ""
        try:
            function()
        except Exception as error:
            reason, where = f"{type(error).__name__}: {error}", _where(error)
        took = f"{time.monotonic() - began_s:.2f} s"
        _tell(check=name, outcome="failed" if reason else "passed", reason=reason, where=where, took=took)


def _where(error: Exception) -> str:
    """The line of the check, not the one deep in a package where it was raised."""
    here = os.path.dirname(__file__)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if os.path.dirname(frame.filename) == here and frame.filename != __file__:
            return f"{os.path.basename(frame.filename)}:{frame.lineno}"
    return ""


def _tell(**fields: str) -> None:
    print(MARK + json.dumps(fields), flush=True)
