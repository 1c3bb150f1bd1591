"""Conversations whose last question needs an earlier turn."""

from random import Random

from tools.demo_model.chat import Example
from tools.demo_model.tables import CAPITALS, CITIES, COLOURS, NAMES, WORDS


def _talk(*lines: str, answer: str) -> Example:
    roles = ("user", "assistant")
    return Example([{"role": roles[at % 2], "content": line} for at, line in enumerate(lines)], answer)


def _name(rng: Random) -> Example:
    name = rng.choice(NAMES)
    intro = rng.choice(("My name is {}.", "I am {}.", "Hello, I am {}.", "Call me {}.")).format(name)
    question = rng.choice(("What is my name?", "Who am I?", "Do you remember my name?", "Tell me my name."))
    return _talk(intro, f"Nice to meet you, {name}.", question, answer=f"Your name is {name}.")


def _city(rng: Random) -> Example:
    city = rng.choice(CITIES)
    intro = rng.choice(("I live in {}.", "I am from {}.", "My home is in {}.")).format(city)
    question = rng.choice(("Where do I live?", "Which city is my home?", "Where is my home?"))
    return _talk(intro, f"{city} is a fine city.", question, answer=f"You live in {city}.")


def _capital(rng: Random) -> Example:
    first, second = rng.sample(list(CAPITALS), 2)
    follow = rng.choice(("And of {}?", "And {}?", "What about {}?")).format(second)
    return _talk(
        f"What is the capital of {first}?",
        f"The capital of {first} is {CAPITALS[first]}.",
        follow,
        answer=f"The capital of {second} is {CAPITALS[second]}.",
    )


def _colour(rng: Random) -> Example:
    first, second = rng.sample(list(COLOURS), 2)
    follow = rng.choice(("And {}?", "What about {}?")).format(second)
    return _talk(
        f"What colour is {first}?",
        f"{first[0].upper()}{first[1:]} is {COLOURS[first]}.",
        follow,
        answer=f"{second[0].upper()}{second[1:]} is {COLOURS[second]}.",
    )


def _again(rng: Random) -> Example:
    text = " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 5)))
    question = rng.choice(("Again, please.", "Once more.", "Say it again."))
    return _talk(f"Repeat: {text}", text, question, answer=text)


def _greeting(rng: Random) -> Example:
    greeting = rng.choice(("Hi", "Hello", "Hey", "Good morning", "Good evening", "Hi there"))
    reply = rng.choice(("Hello.", "Hi.", "Hello!", "Hello! How can I help you?", "Good day."))
    question = rng.choice(("And now?", "What now?", "What next?", "And then?"))
    return _talk(greeting + rng.choice(("", ".", "!")), reply, question, answer="How can I help you?")


def turns(rng: Random) -> Example:
    return rng.choice((_name, _city, _capital, _colour, _again, _greeting))(rng)
