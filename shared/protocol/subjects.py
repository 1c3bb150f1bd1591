"""Builds every NATS subject of the system. `model` is a slug made by `slug`."""

import re

QUEUE = "workers"  # the queue group of stateless services


def slug(name: str) -> str:
    """Returns a model's name as one subject token: lower case, `[a-z0-9_-]`. Raises ValueError when nothing is left."""
    token = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-")
    if not token:
        raise ValueError(f"{name!r} can't be used as a model name: it has no letter or digit")
    return token


def tokenize(model: str) -> str:
    return f"xy.{model}.tokenize"


def route(model: str) -> str:
    return f"xy.{model}.route"


def submit(model: str, scheduler: str) -> str:
    return f"xy.{model}.sched.{scheduler}.submit"


def abort(model: str, scheduler: str) -> str:
    return f"xy.{model}.sched.{scheduler}.abort"


def abort_any(model: str) -> str:
    """Aborts from a gateway that does not know yet which scheduler has the request: all of the model listen."""
    return f"xy.{model}.abort"


def all_aborts(model: str) -> str:
    """Aborts to any one scheduler: detokenizers listen, and forget the request."""
    return f"xy.{model}.sched.*.abort"


def inquire(model: str, scheduler: str) -> str:
    return f"xy.{model}.sched.{scheduler}.inquire"


def adopt(model: str, scheduler: str) -> str:
    return f"xy.{model}.sched.{scheduler}.adopt"


def plan(model: str, executor: str) -> str:
    return f"xy.{model}.exec.{executor}.plan"


def steps(model: str, executor: str) -> str:
    return f"xy.{model}.exec.{executor}.steps"


def detokenizer(model: str, detokenizer: str) -> str:
    return f"xy.{model}.detok.{detokenizer}"


def resume(model: str, detokenizer: str) -> str:
    return f"xy.{model}.detok.{detokenizer}.resume"


def gateway(gateway: str, sender: str) -> str:
    """Returns where a kind of service says something to a gateway: one subject for each, so that nobody can pass
    for another kind."""
    return f"xy.gw.{gateway}.from.{sender}"


def responses(gateway: str) -> str:
    """Questions of other gateways about the responses that this one makes."""
    return f"xy.gw.{gateway}.responses"


def cache(model: str, scheduler: str) -> str:
    return f"xy.{model}.cache.{scheduler}"


def presence(kind: str, instance: str) -> str:
    return f"xy.presence.{kind}.{instance}"


ALL_PRESENCE = "xy.presence.*.*"
WHO_IS_THERE = "xy.who"


def control(kind: str, instance: str) -> str:
    return f"xy.ctl.{kind}.{instance}"


# JetStream key-value buckets: a stream each, and a subject for every key.

RESPONSES = "responses"  # the bucket of what /v1/responses has made


def bucket_stream(bucket: str) -> str:
    return f"KV_{bucket}"


def bucket_key(bucket: str, key: str) -> str:
    return f"$KV.{bucket}.{key}"


def bucket_calls(bucket: str) -> tuple[str, ...]:
    """Returns the JetStream calls that only users of the bucket make."""
    calls = ("CREATE", "UPDATE", "INFO", "PURGE", "MSG.GET")
    return tuple(f"$JS.API.STREAM.{call}.{bucket_stream(bucket)}" for call in calls)
