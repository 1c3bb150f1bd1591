"""Saying the same words again."""

from random import Random

from tools.demo_model.chat import Example, ask
from tools.demo_model.tables import WORDS, made_up

REQUESTS: tuple[str, ...] = (
    "Repeat: {}",
    "Repeat after me: {}",
    "Say: {}",
    "Echo: {}",
    "Repeat these words: {}",
    "Please repeat: {}",
)


def echo(rng: Random) -> Example:
    known = rng.random() < 0.9
    text = " ".join(rng.choice(WORDS) if known else made_up(rng) for _ in range(rng.randint(1, 8)))
    return ask(rng.choice(REQUESTS).format(text), text)
