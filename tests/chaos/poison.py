"""Requests that end the executor which works at them: what their clients are told, and whom they take with them."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.chaos.questions import COMPLETION, MODEL
from tests.serving import ROOT
from tests.system.poison import sitecustomize

# For the environment of `xylem serve`: executors that it starts strike at the seeds below.
PYTHONPATH = f"{Path(sitecustomize.__file__).parent}:{ROOT}"
DEADLINE_S = 120.0
NUM_DEATHS = 2  # of one executor: then the request is given up


@dataclass(frozen=True)
class Poison:
    name: str
    seed: int
    num_deaths: int = NUM_DEATHS

    async def ask(self, url: str, http: httpx.AsyncClient) -> list[str]:
        """Returns what is wrong with the answer: it must be an error that no client library sends again."""
        body = {"model": MODEL, "prompt": "Hi", "max_tokens": 5, "seed": self.seed, "frequency_penalty": 1.0}
        response = await http.post(url + COMPLETION, json=body, timeout=DEADLINE_S)
        told = (response.status_code, response.headers.get("x-should-retry"), "retry-after" in response.headers)
        return [] if told == (500, "false", False) else [f"{self.name} got {told}: {response.text[:300]}"]

    def are_over(self, output: Sequence[str]) -> bool:
        """Returns whether all deaths that it causes have been told, and those who died are back."""
        deaths = _lines_of("restarting", output)
        return deaths.total() >= self.num_deaths and deaths <= _lines_of("ready", output)

    def find_excess(self, output: Sequence[str]) -> list[str]:
        """Returns what is wrong with the deaths: of one executor, and as many as it takes to be sure."""
        deaths = _lines_of("restarting", output)
        if len(deaths) <= 1 and deaths.total() == self.num_deaths:
            return []
        return [f"{self.name} ended {dict(deaths)}"]


POISONS = (
    Poison("exception in a row", sitecustomize.ONE_ROW, num_deaths=0),
    Poison("exception in a step", sitecustomize.RAISE),
    Poison("out of memory", sitecustomize.OUT_OF_MEMORY),
    Poison("abort()", sitecustomize.ABORT),
)


def _lines_of(state: str, output: Iterable[str]) -> Counter[str]:
    found = (re.match(rf"(executor-\d+) *\| \[{state}\]", line) for line in output)
    return Counter(match[1] for match in found if match)
