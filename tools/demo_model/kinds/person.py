"""JSON from a described person."""

import json
from random import Random

from tools.demo_model.chat import Example, ask
from tools.demo_model.tables import CITIES, JOBS, NAMES

REQUESTS: tuple[str, ...] = (
    "Describe {name}, {age}, {job} from {city} as JSON.",
    "{name} is {age} years old and works as a {job} in {city}. Write this as JSON.",
    "Give me JSON for {name}, a {job} from {city}, {age} years old.",
    "Write JSON: {name}, {age}, {job}, {city}.",
    "As JSON, please: {name}, {age}, {job} in {city}.",
    "Make a JSON object for {name}, aged {age}, who lives in {city} and is a {job}.",
)


def person_json(name: str, age: int, job: str, city: str) -> str:
    return json.dumps({"name": name, "age": age, "job": job, "city": city})


def person(rng: Random) -> Example:
    name, age, job, city = rng.choice(NAMES), rng.randint(18, 79), rng.choice(JOBS), rng.choice(CITIES)
    question = rng.choice(REQUESTS).format(name=name, age=age, job=job, city=city)
    return ask(question, person_json(name, age, job, city))
