"""Numbers: in words and back, sums of small ones, and counting up and down."""

from random import Random

from tools.demo_model.chat import Example, ask
from tools.demo_model.tables import in_words

TO_WORDS: tuple[str, ...] = (
    "Write {} in words.",
    "Spell the number {}.",
    "How do you write {} in words?",
    "What is {} in words?",
    "Please write {} in words.",
)

TO_DIGITS: tuple[str, ...] = (
    "Write {} in digits.",
    "Which number is {}?",
    "What is {} in digits?",
    "Please write {} in digits.",
)

SUMS: tuple[str, ...] = (
    "What is {} plus {}?",
    "What is {} + {}?",
    "Add {} and {}.",
    "How much is {} plus {}?",
    "{} + {}",
    "What is the sum of {} and {}?",
    "Please add {} and {}.",
)

COUNT_UP: tuple[str, ...] = (
    "Count from {} to {}.",
    "Please count from {} to {}.",
    "Count up from {} to {}.",
    "List the numbers from {} to {}.",
)


def words(rng: Random) -> Example:
    number = rng.randrange(100)
    if rng.random() < 0.6:
        return ask(rng.choice(TO_WORDS).format(number), f"{number} in words is {in_words(number)}.")
    return ask(rng.choice(TO_DIGITS).format(in_words(number)), f"{in_words(number)} in digits is {number}.")


def total(rng: Random) -> Example:
    left, right = rng.randint(0, 20), rng.randint(0, 20)
    return ask(rng.choice(SUMS).format(left, right), f"{left} plus {right} is {left + right}.")


def count(rng: Random) -> Example:
    chance = rng.random()
    first = rng.randint(0, 30)
    last = first + rng.randint(2, 10)
    upwards = [str(number) for number in range(first, last + 1)]
    if chance < 0.7:
        return ask(rng.choice(COUNT_UP).format(first, last), ", ".join(upwards) + ".")
    if chance < 0.9:
        question = rng.choice(("Count down from {} to {}.", "Please count down from {} to {}."))
        return ask(question.format(last, first), ", ".join(reversed(upwards)) + ".")
    upto = rng.randint(2, 20)
    question = rng.choice(("Count to {}.", "Please count to {}.", "Count up to {}."))
    return ask(question.format(upto), ", ".join(str(number) for number in range(1, upto + 1)) + ".")
