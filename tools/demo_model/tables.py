"""The fixed tables every kind draws from. A tiny model learns a closed world well and an open one badly."""

from random import Random
from string import ascii_lowercase

CAPITALS: dict[str, str] = {
    "France": "Paris", "Spain": "Madrid", "Italy": "Rome", "Germany": "Berlin", "Norway": "Oslo",
    "Sweden": "Stockholm", "Finland": "Helsinki", "Denmark": "Copenhagen", "Poland": "Warsaw", "Austria": "Vienna",
    "Hungary": "Budapest", "Greece": "Athens", "Portugal": "Lisbon", "Ireland": "Dublin", "Belgium": "Brussels",
    "Estonia": "Tallinn", "Latvia": "Riga", "Lithuania": "Vilnius", "Japan": "Tokyo", "China": "Beijing",
    "Egypt": "Cairo", "Kenya": "Nairobi", "Peru": "Lima", "Chile": "Santiago", "Canada": "Ottawa",
    "Cuba": "Havana", "Turkey": "Ankara", "Russia": "Moscow", "Bulgaria": "Sofia", "Romania": "Bucharest",
    "Iceland": "Reykjavik", "Croatia": "Zagreb",
}  # fmt: skip

COLOURS: dict[str, str] = {
    "a banana": "yellow", "the sky": "blue", "grass": "green", "snow": "white", "coal": "black",
    "a tomato": "red", "a lemon": "yellow", "the sea": "blue", "a leaf": "green", "milk": "white",
    "blood": "red", "a carrot": "orange", "a cucumber": "green", "chocolate": "brown", "salt": "white",
    "a strawberry": "red", "the sun": "yellow", "a raven": "black", "a pumpkin": "orange", "an elephant": "grey",
    "a flamingo": "pink", "a plum": "purple", "rice": "white", "a frog": "green", "a fire engine": "red",
    "soil": "brown", "a cloud": "white", "a pea": "green", "a cherry": "red", "night": "black",
}  # fmt: skip

NAMES: tuple[str, ...] = (
    "Anna", "Ben", "Carla", "David", "Emma", "Felix", "Grace", "Hugo", "Iris", "Jonas", "Karin", "Leo", "Maria",
    "Nora", "Oscar", "Paul", "Rosa", "Simon", "Tara", "Victor", "Wanda", "Alice", "Bob", "Clara", "Daniel", "Eva",
    "Frank", "Helen", "Ivan", "Julia",
)  # fmt: skip

JOBS: tuple[str, ...] = (
    "baker", "teacher", "farmer", "nurse", "painter", "pilot", "sailor", "singer", "tailor", "writer", "doctor",
    "driver", "cook", "gardener", "engineer", "lawyer", "carpenter", "dentist", "librarian", "potter",
)  # fmt: skip

CITIES: tuple[str, ...] = (
    *("Paris", "Madrid", "Rome", "Berlin", "Oslo", "Stockholm", "Helsinki", "Copenhagen", "Warsaw", "Vienna"),
    *("Budapest", "Athens", "Lisbon", "Dublin", "Brussels", "Riga", "Tokyo", "Cairo", "Nairobi", "Lima", "Ottawa"),
    *("London", "Hamburg", "Milan", "Porto", "Boston", "Geneva", "Zurich"),
)

WORDS: tuple[str, ...] = (
    "red", "green", "blue", "yellow", "black", "white", "orange", "purple", "brown", "pink", "one", "two", "three",
    "four", "five", "six", "seven", "eight", "nine", "ten", "apple", "pear", "plum", "lemon", "bread", "milk", "salt",
    "honey", "cat", "dog", "fox", "horse", "bird", "fish", "mouse", "bear", "wolf", "goat", "river", "lake", "forest",
    "field", "stone", "cloud", "rain", "snow", "wind", "sun", "moon", "star", "house", "door", "window", "table",
    "chair", "lamp", "book", "pen", "paper", "key", "boat", "train", "road", "bridge", "tower", "garden", "tree",
    "leaf", "flower", "seed", "summer", "winter", "spring", "morning", "evening", "night", "hand", "foot", "head",
    "heart", "north", "south", "east", "west", "fast", "slow", "warm", "cold", "happy", "quiet", "small", "tall",
    "hello", "world", "music", "silver", "gold", "iron", "glass", "rope", "brother", "sister", "market", "school",
    "village", "island", "mountain", "ocean", "bottle", "basket", "ladder", "hammer", "candle", "mirror", "pocket",
    "button", "blanket", "kitchen", "corner", "shadow", "letter", "number", "picture", "question", "answer", "friend",
    "engine", "signal", "planet", "rocket", "copper", "cotton", "sugar", "pepper", "butter", "dinner", "future",
    "open", "close", "begin", "finish", "simple", "strange", "bright", "empty", "round", "sharp",
    "violin", "marble", "harvest", "lantern", "meadow", "pebble", "thunder", "velvet", "willow", "orchard",
)  # fmt: skip

UNITS: tuple[str, ...] = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip

TENS: tuple[str, ...] = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def in_words(number: int) -> str:
    """0 to 99 in English words."""
    if number < 20:
        return UNITS[number]
    tens, unit = divmod(number, 10)
    return TENS[tens - 2] + (f"-{UNITS[unit]}" if unit else "")


def made_up(rng: Random) -> str:
    """A word of one to six random letters, or a number."""
    if rng.random() < 0.1:
        return str(rng.randrange(1000))
    word = "".join(rng.choices(ascii_lowercase, k=rng.randint(1, 6)))
    return word.capitalize() if rng.random() < 0.15 else word
