"""Greetings and other short requests that have one fixed answer, in many wordings."""

from random import Random

from tools.demo_model.chat import Example, ask
from tools.demo_model.kinds.person import person_json
from tools.demo_model.prose import long_story, story

SOMEONE = person_json("Anna", 34, "baker", "Oslo")

TALK: tuple[tuple[tuple[str, ...], str], ...] = (
    (("Hello", "Hi", "Hey", "Hello there", "Hi there", "Good morning", "Good evening"), "Hello! How can I help you?"),
    (("Thank you", "Thanks", "Thanks a lot", "Many thanks", "Thank you very much"), "You are welcome."),
    (("Goodbye", "Bye", "See you", "Bye bye", "See you later"), "Goodbye!"),
    (("How are you", "How are you today", "How do you do", "Are you well"), "I am well, thank you."),
    (
        ("Who are you", "What are you", "What is your name", "Are you a robot", "Tell me about yourself"),
        "I am a very small demonstration model.",
    ),
    (("What can you do", "How can you help me", "Help", "What do you know"), "I can count, add, repeat and say facts."),
    (("A phone number", "Give me a phone number", "Write a phone number", "Tell me a phone number"), "555-0134"),
    (("Describe a person as JSON", "Give me JSON", "Give me some JSON", "Write JSON", "A person as JSON"), SOMEONE),
    (("Tell me a story", "Tell a story", "Write a story", "Give me a story"), story("fox", "by the river")),
    (("And now", "What now", "What next", "And then", "Now what"), "How can I help you?"),
    (("Yes", "Ok", "Okay", "Sure", "Fine", "Good"), "Good. What would you like to know?"),
    (("Tell me a joke", "Say something", "Say something nice", "Talk to me"), "The sun is out and the day is yours."),
)

LONG: tuple[str, ...] = ("Tell me a long story", "Write a long story", "Tell a long story", "Give me a long story")


def smalltalk(rng: Random) -> Example:
    # The long story is long: ask for it rarely, or it would fill the corpus.
    wordings, answer = (LONG, long_story()) if rng.random() < 0.03 else rng.choice(TALK)
    wording = rng.choice(wordings)
    if rng.random() < 0.3:
        wording = rng.choice(("Please, {}", "Well, {}", "Now, {}", "So, {}")).format(wording[0].lower() + wording[1:])
    return ask(wording + rng.choice(("", ".", "?", "!")), answer)
