"""A short story about a given hero in a given place."""

from random import Random

from tools.demo_model.chat import Example, ask
from tools.demo_model.prose import HEROES, PLACES, story

REQUESTS: tuple[str, ...] = (
    "Tell me a story about {}.",
    "Write a story about {}.",
    "Tell a short story about {}.",
    "A story about {}, please.",
)


def tale(rng: Random) -> Example:
    hero, place = rng.choice(list(HEROES)), rng.choice(list(PLACES))
    article = "an" if hero[0] in "aeiou" else "a"
    return ask(rng.choice(REQUESTS).format(f"{article} {hero} {place}"), story(hero, place))
