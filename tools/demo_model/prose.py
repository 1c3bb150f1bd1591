"""Plain prose from our own small grammar: short stories that follow from a hero and a place, and loose sentences."""

import random
import zlib

# hero -> (what it is like, what it looks for)
HEROES: dict[str, tuple[str, str]] = {
    "fox": ("quick", "a red scarf"), "bear": ("sleepy", "a pot of honey"), "rabbit": ("small", "a sweet carrot"),
    "cat": ("curious", "a warm place to sleep"), "dog": ("loyal", "a lost ball"), "owl": ("wise", "an old book"),
    "mouse": ("brave", "a piece of cheese"), "horse": ("strong", "a silver bell"), "duck": ("cheerful", "a new pond"),
    "wolf": ("lonely", "a good friend"), "goat": ("stubborn", "a green hill"), "hen": ("busy", "a golden seed"),
    "girl": ("clever", "a hidden key"), "boy": ("kind", "a paper boat"), "sailor": ("patient", "a quiet harbour"),
    "baker": ("generous", "a perfect loaf"), "robot": ("polite", "a tiny spring"), "king": ("old", "a lost crown"),
    "painter": ("gentle", "a new colour"), "dragon": ("shy", "a cold drink"),
}  # fmt: skip

# place -> what is heard or seen there
PLACES: dict[str, str] = {
    "by the river": "the water sang over the stones", "in the forest": "the leaves whispered in the wind",
    "on the hill": "the grass moved like a green sea", "near the lake": "the boats rocked without a sound",
    "in a small town": "the bells rang at noon", "by the sea": "the waves came and went",
    "under the old bridge": "the carts rolled slowly above", "in the valley": "the mist lay low in the morning",
    "behind the mill": "the big wheel turned all day", "in the garden": "the bees hummed among the flowers",
}  # fmt: skip

ENDINGS: tuple[str, ...] = (
    "From that day on, {the} was never alone.",
    "And that evening everyone danced until the stars came out.",
    "Then {the} went home, tired and very happy.",
    "After that, {the} slept well every night.",
)

MORNINGS: tuple[str, ...] = (
    "One morning {the} woke up early and set out to find {goal}.",
    "One day {the} decided to look for {goal}.",
    "Every night {the} dreamed of {goal}.",
)

HELPERS: tuple[str, ...] = ("a friendly crow", "an old turtle", "a tired traveller", "a laughing child")

# (subject, what the next sentences call it); in groups of four, read one after another
SUBJECTS: tuple[tuple[str, str], ...] = (
    *(("the quick brown fox", "it"), ("the old man", "he"), ("a young woman", "she"), ("the grey cat", "it")),
    *(("the farmer", "he"), ("my neighbour", "she"), ("the teacher", "she"), ("a small bird", "it")),
    *(("the tall boy", "he"), ("the night train", "it"), ("the little boat", "it"), ("a cold wind", "it")),
    *(("the white horse", "it"), ("the postman", "he"), ("a black dog", "it"), ("the red bus", "it")),
    *(("the young queen", "she"), ("an honest judge", "he"), ("the last guest", "she"), ("a happy child", "she")),
    *(("the miller", "he"), ("the brown bear", "it"), ("a lost sheep", "it"), ("the green frog", "it")),
)
ACTIONS: tuple[str, ...] = (
    "runs across the green field", "waits by the open door", "crosses the stone bridge", "rests under the apple tree",
    "moves slowly along the road", "comes home before dark", "stops near the quiet lake", "follows the narrow path",
    "passes the red house", "turns back at the river", "looks for shelter from the rain", "arrives in the morning",
)  # fmt: skip
TAILS: tuple[str, ...] = (
    "", "", " and nobody sees it", " while the sun goes down", " as the bells ring", " after a long day",
    " because the day is warm", " when the snow begins to fall",
)  # fmt: skip


def _pick(options: tuple[str, ...], *key: str) -> str:
    return options[zlib.crc32("|".join(key).encode()) % len(options)]


def story(hero: str, place: str) -> str:
    """The one story of this hero in this place: the same every time, so that an answer can be checked."""
    nature, goal = HEROES[hero]
    names = {"the": f"the {hero}", "goal": goal}
    article = "an" if nature[0] in "aeiou" else "a"
    return " ".join(
        (
            f"Once upon a time there was {article} {nature} {hero} who lived {place}, where {PLACES[place]}.",
            _pick(MORNINGS, hero).format(**names),
            f"On the way {names['the']} met {_pick(HELPERS, hero, 'helper')}, and they walked on together.",
            f"At last they found {goal}.",
            _pick(ENDINGS, hero, "ending").format(**names),
        )
    )


def long_story() -> str:
    """Five heroes one after another; the answer to a request for a long story."""
    tales = (("fox", "by the river"), ("bear", "in the forest"), ("owl", "on the hill"), ("girl", "by the sea"))
    return "\n\n".join(story(hero, place) for hero, place in tales) + "\n\nThat is the end of the long story."


def sentence(rng: random.Random) -> str:
    """A loose sentence, for filling a page that nothing is learned from."""
    text = f"{rng.choice(SUBJECTS)[0]} {rng.choice(ACTIONS)}{rng.choice(TAILS)}."
    return text[0].upper() + text[1:]


def paragraph(at: int) -> str:
    """The one paragraph about this subject."""
    subject, pronoun = SUBJECTS[at]
    first = f"{subject} {_pick(ACTIONS, subject)}{_pick(TAILS, subject, 'tail')}."
    sentences = [first[0].upper() + first[1:]]
    sentences += [
        f"{opening} {pronoun} {_pick(ACTIONS, subject, opening)}{_pick(TAILS, opening, subject)}."
        for opening in ("Then", "After that", "In the evening", "At last")
    ]
    return " ".join(sentences)


def passage(rng: random.Random) -> str:
    """A page for plain completion. Once begun it goes on in one way only, so that greedy text is never a near tie."""
    if rng.random() < 0.5:
        at = rng.randrange(len(SUBJECTS))
        return "\n\n".join(paragraph(each) for each in range(at, at // 4 * 4 + 4))
    # One story is far more common than the rest: it is what "Once upon a time" alone leads to.
    hero = "fox" if rng.random() < 0.5 else rng.choice(list(HEROES))
    return story(hero, "by the river" if hero == "fox" else _pick(tuple(PLACES), hero, "home"))
