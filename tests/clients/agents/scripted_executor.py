"""An executor on the bus as any other, whose runner has no model and plays the answers of script.py."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.clients.agents.script import TURN, answer
from tests.fake_runner import FakeRunner
from xylem.services.executor.service import ExecutorService
from xylem.services.executor.step.row import StepRow
from xylem.services.executor.step.runner_interface import ModelRunner
from xylem.shared.model_info.model_card import ModelCard
from xylem.shared.model_info.tokenizer_codec import TextCodec
from xylem.shared.runtime.service import run

OPENING = f"{TURN}assistant\n"


@dataclass
class ScriptedRunner(FakeRunner):
    """Finds the prompt in its KV as a model does, and says the next token of the answer to it."""

    codec: Any = None
    end_id: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._answers: dict[int, list[int]] = {}  # by length of the prompt, of the last ones

    def sample(self, row: StepRow, places: Sequence[int]) -> list[int]:
        if not row.sample:
            return super().sample(row, places)
        known = array("i", [self.kv[slot] for slot in places])
        prompt, _, said = self.codec.decode(known.tolist(), skip_special_tokens=False).rpartition(OPENING)
        rest = answer(prompt + OPENING)[len(said) :]
        token_id = self.codec.encode(rest, add_special_tokens=False)[0] if rest else self.end_id
        self.last_token[row.slot] = token_id
        return [token_id]


class ScriptedExecutor(ExecutorService):
    """Serves the tokenizer's vocabulary of a model folder, and none of its weights."""

    def make_runner(self, card: ModelCard) -> ModelRunner:
        codec = TextCodec.load(card.path)
        end_id = codec.tokenizer.token_to_id("<|im_end|>")
        assert end_id is not None
        return ScriptedRunner(num_pages=1 << 15, page_size=16, vocab_size=card.vocab_size, codec=codec, end_id=end_id)


if __name__ == "__main__":
    run(ScriptedExecutor)
