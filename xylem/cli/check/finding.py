"""A finding is what a check has found."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One line of the report. `advice` says what to do, and is empty when all is well."""

    subject: str
    verdict: Verdict
    detail: str
    advice: str = ""
