"""Runs one client's checks in its environment, and reads what they tell."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.clients.environments import bare_environment

MARK = "CHECK "  # as in checks/checking.py, which must not be imported from here: it belongs to the other environments
LIMIT_S = 300.0
MAX_REASON = 400  # characters


@dataclass(frozen=True)
class Failure:
    check: str
    reason: str
    where: str = ""


@dataclass
class Result:
    """What became of one client's checks. Without any check that passed something is wrong, too."""

    client: str
    version: str = ""
    num_passed: int = 0
    skipped: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not self.failures and self.num_passed > 0


def run_checks(client: str, command: list[str], url: str, api_key: str = "", *, limit_s: float = LIMIT_S) -> Result:
    """The result; a process that crashes, hangs or says nothing is a failure of its own."""
    environment = bare_environment(XYLEM_URL=url, XYLEM_API_KEY=api_key, PYTHONDONTWRITEBYTECODE="1")
    folder = Path(command[1]).parent
    try:
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=limit_s,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as late:
        result = read(client, late.stdout.decode() if isinstance(late.stdout, bytes) else late.stdout or "")
        result.failures.append(Failure("(the process)", f"not done within {limit_s:g} s"))
        return result
    result = read(client, ended.stdout)
    if ended.returncode != 0:
        last = (ended.stderr.strip().splitlines() or ["it says nothing"])[-1]
        result.failures.append(Failure("(the process)", f"ended with {ended.returncode}: {last}"))
    return result


def _short(reason: str) -> str:
    """On one line, with the beginning and the end: some packages tell all of the answer in between."""
    line = " ".join(reason.split())
    return line if len(line) <= MAX_REASON else f"{line[: MAX_REASON // 2]} ... {line[-MAX_REASON // 2 :]}"


def read(client: str, output: str) -> Result:
    """What the lines with a mark tell."""
    result = Result(client)
    for line in output.splitlines():
        if not line.startswith(MARK):
            continue
        told = json.loads(line.removeprefix(MARK))
        if "version" in told:
            result.version = told["version"]
        elif told["outcome"] == "passed":
            result.num_passed += 1
        elif told["outcome"] == "skipped":
            result.skipped.append(told["check"])
        else:
            result.failures.append(Failure(told["check"], _short(told["reason"]), told["where"]))
    return result
