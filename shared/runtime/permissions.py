"""One table says what each kind of service may say and hear on the bus; nats-server users are made from it.

A service that was broken into can then do no more than its own part: a tokenizer can't plan, a gateway can't pretend to
be an executor, and nobody reads the answers that others get. What the server can't see, that a message names its sender
as its subject does, receivers check: `protocol/senders.py`. Answers themselves need no row: who was asked may answer.
"""

import json
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from xylem.shared.protocol import subjects as s

ANY = "*"
ADMIN = "admin"  # a person, a supervisor, a test: everything


@dataclass(frozen=True)
class Part:
    """Subjects, with wildcards for models and instances, beside those that all kinds have."""

    says: tuple[str, ...]
    hears: tuple[str, ...]


PARTS: dict[str, Part] = {
    "gateway": Part(
        says=(
            s.tokenize(ANY),
            s.abort(ANY, ANY),
            s.abort_any(ANY),
            s.inquire(ANY, ANY),
            s.adopt(ANY, ANY),
            s.resume(ANY, ANY),
            s.control(ANY, ANY),
            s.responses(ANY),
            s.bucket_key(s.RESPONSES, ">"),
            *s.bucket_calls(s.RESPONSES),
        ),
        hears=(s.gateway(ANY, ANY), s.responses(ANY)),
    ),
    "tokenizer": Part(says=(s.route(ANY), s.gateway(ANY, "tokenizer")), hears=(s.tokenize(ANY),)),
    "router": Part(says=(s.submit(ANY, ANY), s.gateway(ANY, "router")), hears=(s.route(ANY), s.cache(ANY, ANY))),
    "scheduler": Part(
        says=(s.plan(ANY, ANY), s.gateway(ANY, "scheduler"), s.cache(ANY, ANY), s.abort(ANY, ANY)),
        hears=(
            s.submit(ANY, ANY),
            s.abort(ANY, ANY),
            s.abort_any(ANY),
            s.inquire(ANY, ANY),
            s.adopt(ANY, ANY),
            s.steps(ANY, ANY),
        ),
    ),
    "executor": Part(
        says=(s.steps(ANY, ANY), s.detokenizer(ANY, ANY), s.gateway(ANY, "executor")), hears=(s.plan(ANY, ANY),)
    ),
    "detokenizer": Part(
        says=(s.gateway(ANY, "detokenizer"), s.abort(ANY, ANY)),
        hears=(s.detokenizer(ANY, ANY), s.resume(ANY, ANY), s.abort_any(ANY), s.all_aborts(ANY)),
    ),
}


def passwords() -> dict[str, str]:
    """New random ones, by user: a user for each kind, and the admin."""
    return {user: secrets.token_urlsafe(24) for user in (*PARTS, ADMIN)}


def configuration(of_user: Mapping[str, str]) -> str:
    """The `authorization` block of nats-server's configuration, from passwords by user."""
    users = [
        {"user": user, "password": password, "permissions": _permissions(user)} for user, password in of_user.items()
    ]
    return f"authorization {json.dumps({'users': users})}\n"  # JSON is what its own language allows, too


def url_of(url: str, user: str, password: str) -> str:
    """The URL of a server, with who we are."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.netloc}"))


def user_of(url: str) -> str:
    """The user in the first of the comma-separated URLs, or an empty string."""
    return urlsplit(url.split(",")[0].strip()).username or ""


def without_password(urls: str) -> str:
    """For people to read."""
    return ",".join(each.strip().rpartition("@")[2] for each in urls.split(","))


def inbox(user: str) -> str:
    """Returns the inbox of a user; no other user may listen there."""
    return f"_INBOX.{user}" if user else "_INBOX"


def _permissions(user: str) -> dict[str, object]:
    if user == ADMIN:
        return {"publish": ">", "subscribe": ">"}
    part = PARTS[user]
    own = (s.presence(user, ANY), s.control(user, ANY))  # the latter for its own health check
    return {
        "publish": {"allow": [*part.says, *own, s.WHO_IS_THERE]},
        "subscribe": {"allow": [*part.hears, s.ALL_PRESENCE, s.WHO_IS_THERE, s.control(user, ANY), f"{inbox(user)}.>"]},
        "allow_responses": True,
    }


if __name__ == "__main__":
    sys.stdout.write(configuration(passwords()))
