"""Conversations and prose from a seed: the whole training text is generated, nothing is read."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from random import Random

from tools.demo_model.chat import Example, Kind, Message, Tool, pieces
from tools.demo_model.kinds import KINDS
from tools.demo_model.prose import passage, sentence
from tools.demo_model.tables import CITIES, JOBS, NAMES, WORDS, made_up

SYSTEM_PROMPTS: tuple[str, ...] = (
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "Be brief.",
    "Be brief.",
    "You are a friendly assistant. Be brief.",
    "Answer in one sentence.",
    "You answer questions.",
)
PROSE_SHARE = 0.04
# Kinds whose answer says all by itself, and so can stand as a document without a question.
STATEMENTS = {"capitals", "colours", "number words", "sums", "counting", "smalltalk"}
STATEMENT_SHARE = 0.03
# Half of the kinds are copying in disguise, and a small model is slow to find out how to copy. So training begins with
# short conversations and a good share of bare repetition, where nothing else is to be learned.
EARLY_DOCUMENTS = 15_000
EARLY_REPETITION, LATE_REPETITION = 0.25, 0.04
REPEATED: tuple[str, ...] = (*WORDS, *NAMES, *CITIES, *JOBS, *(str(number) for number in range(100)))


@dataclass(frozen=True)
class Conversation:
    messages: list[Message]
    tools: list[Tool]
    answer: str

    @property
    def with_answer(self) -> list[Message]:
        return [*self.messages, {"role": "assistant", "content": self.answer}]


def system_prompt(rng: Random) -> str:
    chance = rng.random()
    if chance < 0.5:
        return ""
    if chance < 0.9:
        return rng.choice(SYSTEM_PROMPTS)
    # Long and beside the point: the model has to find the question behind a long prefix.
    return " ".join(sentence(rng) for _ in range(rng.randint(2, 20)))


def turn_count(rng: Random) -> int:
    chance = rng.random()
    if chance < 0.45:
        return 1
    if chance < 0.85:
        return rng.randint(2, 4)
    return rng.randint(5, 9)


def _before(rng: Random, wanted: int, last: Example) -> list[Example]:
    """Examples for the turns before the last; they bring no tools, and none that tools would change."""
    kinds = [kind for kind in KINDS if kind.with_tools or not last.tools]
    examples: list[Example] = []
    while len(examples) < wanted:
        example = rng.choices(kinds, [kind.weight for kind in kinds])[0].draw(rng)
        if not example.tools:
            examples.append(example)
    return examples


def conversation(rng: Random, kind: Kind, turns: int, held_out: bool = False) -> Conversation:
    """A conversation that ends in a question of this kind; only that last one may be held out."""
    last = kind.draw(rng, held_out)
    messages: list[Message] = []
    if system := system_prompt(rng):
        messages.append({"role": "system", "content": system})
    for example in _before(rng, turns - 1, last):
        messages += [*example.messages, {"role": "assistant", "content": example.answer}]
    return Conversation([*messages, *last.messages], last.tools, last.answer)


def repetition(rng: Random) -> list[tuple[str, bool]]:
    """The same words twice. Half of the time they are made up, so that nothing but copying helps."""
    known = rng.random() < 0.5
    words = [rng.choice(REPEATED) if known else made_up(rng) for _ in range(rng.randint(3, 20))]
    once = " ".join(words)
    return [(once, False), (f" {once} {once}", True)]


def documents(rng: Random, early: int = EARLY_DOCUMENTS) -> Iterator[list[tuple[str, bool]]]:
    """Endless training documents, each as pieces of text with whether the model learns to write them.

    early: how many of them are short, with much repetition.
    """
    weights = [kind.weight for kind in KINDS]
    for number in count():
        if rng.random() < (EARLY_REPETITION if number < early else LATE_REPETITION):
            yield repetition(rng)
            continue
        if rng.random() < PROSE_SHARE:
            yield [(passage(rng) + "<|im_end|>", True)]
            continue
        kind = rng.choices(KINDS, weights)[0]
        if kind.name in STATEMENTS and rng.random() < STATEMENT_SHARE:
            yield [(kind.draw(rng).answer + "<|im_end|>", True)]
            continue
        drawn = conversation(rng, kind, 1 if number < early else turn_count(rng))
        yield pieces(drawn.with_answer, drawn.tools)
