"""Short facts from fixed tables: capitals and colours."""

from random import Random

from tools.demo_model.chat import Example, ask
from tools.demo_model.tables import CAPITALS, COLOURS

CAPITAL_QUESTIONS: tuple[str, ...] = (
    "What is the capital of {}?",
    "Name the capital of {}.",
    "Tell me the capital of {}.",
    "Which city is the capital of {}?",
    "What's the capital of {}?",
    "The capital of {}?",
    "Please name the capital of {}.",
    "Do you know the capital of {}?",
)

COLOUR_QUESTIONS: tuple[str, ...] = (
    "What colour is {}?",
    "What color is {}?",
    "Which colour is {}?",
    "Tell me the colour of {}.",
    "What is the colour of {}?",
    "Name the colour of {}.",
    "Please tell me the colour of {}.",
    "The colour of {}?",
)


def capital(rng: Random) -> Example:
    country = rng.choice(list(CAPITALS))
    return ask(rng.choice(CAPITAL_QUESTIONS).format(country), f"The capital of {country} is {CAPITALS[country]}.")


def colour(rng: Random) -> Example:
    thing = rng.choice(list(COLOURS))
    return ask(rng.choice(COLOUR_QUESTIONS).format(thing), f"{thing[0].upper()}{thing[1:]} is {COLOURS[thing]}.")
