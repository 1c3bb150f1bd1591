"""What is compared with peers. Every case gives a rate, in tokens a second, of whichever side is asked."""

import asyncio
from dataclasses import dataclass

from benchmarks.children import Talking
from benchmarks.client import Client
from benchmarks.datasets import Dataset
from benchmarks.datasets.multi_turn import MultiTurn
from benchmarks.datasets.shared_prefix import SharedPrefix
from benchmarks.figures import Figures, Goals, figures
from benchmarks.load import Load
from benchmarks.serving_run import Pace, run
from benchmarks.steps import decode_rate, prefill_rate
from benchmarks.stream import Target

CLIENTS = 32
LIMIT_S = 45  # a side that is slower is judged by what it has completed until then
WARM_UP = -1  # the seed of what is not counted


@dataclass(frozen=True)
class EngineCase:
    """A load on an engine in process; its rate is that of decoding, or of reading where one token is all that comes."""

    name: str
    load: Load

    def warm_up(self, side: Talking) -> None:
        self.rate(side, seed=WARM_UP)

    def rate(self, side: Talking, *, seed: int) -> float:
        steps = side.ask({"prompts": self.load.prompts(seed), "num_output": self.load.num_output})["steps"]
        if self.load.num_output == 1:
            return prefill_rate(steps, self.load.num_streams, self.load.num_prompt)
        return decode_rate(steps, self.load.num_streams)


@dataclass(frozen=True)
class ServingCase:
    """A data set played by clients over HTTP; its rate is that of the tokens of completed answers."""

    name: str
    dataset: Dataset
    num_sessions: int

    def warm_up(self, side: Target) -> None:
        """Few sessions, of another seed: what they leave in the cache is of no use afterwards."""
        self._play(side, WARM_UP, 4)

    def rate(self, side: Target, *, seed: int) -> float:
        return self._play(side, seed, self.num_sessions).output_tokens_per_s

    def _play(self, side: Target, seed: int, num_sessions: int) -> Figures:
        """Raises RuntimeError when a request fails, or none is completed."""
        playing = run(
            Client(side, "completions"), self.dataset, num_sessions=num_sessions, pace=Pace(clients=CLIENTS),
            limit_s=LIMIT_S, seed=seed,
        )  # fmt: skip
        ran = asyncio.run(playing)
        found = figures(ran.records, ran.wall_s, Goals())
        if found.errors or not found.completed:
            raise RuntimeError(f"{self.name}: {found.errors or f'nothing completed in {LIMIT_S} s'}")
        return found


ENGINE_CASES = (
    EngineCase("decode-1", Load(1, 32, 24)),
    EngineCase("decode-8", Load(8, 32, 24)),
    EngineCase("decode-32", Load(32, 16, 20)),
    EngineCase("decode-64", Load(64, 16, 16)),
    EngineCase("prefill-512", Load(1, 512, 1)),
    EngineCase("prefill-2048", Load(1, 2048, 1)),
)
SERVING_CASES = (
    ServingCase("shared-prefix", SharedPrefix(output=24), num_sessions=64),
    ServingCase("multi-turn", MultiTurn(turns=3, output=24), num_sessions=32),
)
