"""What a broken or a foreign peer may send to a service: volleys of bytes for the subjects that it listens on."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.wire_strategies import malformed, message_kinds, values
from xylem.shared.protocol import Control, ControlReply, Message, Presence, WhoIsThere, encode, subjects
from xylem.shared.runtime.bus import Bus

Shot = tuple[str, bytes]  # a subject and what is published on it


@dataclass(frozen=True)
class Target:
    """A subject and what its listener expects there; `names` and `numbers` are those that it knows."""

    subject: str
    kinds: tuple[type[Message], ...]
    names: tuple[str, ...] = ()
    numbers: tuple[int, ...] = (0, 1, 2)


def volleys(kind: str, instance: str, model: str, targets: Sequence[Target]) -> st.SearchStrategy[list[Shot]]:
    """Messages of the right kind with absurd content, broken ones, and ones of other kinds, in any order."""
    every_service = [
        Target(subjects.WHO_IS_THERE, (WhoIsThere,)),
        Target(subjects.control(kind, instance), (Control,), ("ping", "check", "flush", "drain")),
        *(
            Target(subjects.presence(peer, "x"), (Presence,), (peer, "x", model, "ready", "draining", "default"))
            for peer in ("executor", "scheduler", "detokenizer", "gateway")
        ),
    ]
    aimed = st.sampled_from(targets).flatmap(_shot)  # listed twice: most of the fire goes where the work is done
    return st.lists(aimed | aimed | st.sampled_from(every_service).flatmap(_shot), min_size=1, max_size=25)


def _shot(target: Target) -> st.SearchStrategy[Shot]:
    good = [values(kind, target.names, target.numbers).map(encode) for kind in target.kinds]
    bad = [malformed(kind) for kind in target.kinds]
    foreign = st.sampled_from(message_kinds()).flatmap(values).map(encode)
    return st.tuples(st.just(target.subject), st.one_of(*good, *good, *bad, foreign))


async def fire(bus: Bus, volley: Sequence[Shot]) -> None:
    """Publishes the bytes as they are; returns when the server has them."""
    for subject, data in volley:
        await bus._client.publish(subject, data)
    await bus.barrier()


async def assert_ready(bus: Bus, kind: str, instance: str) -> None:
    """The service answers, and it is not about to end."""
    reply = await bus.request(subjects.control(kind, instance), Control("ping"), ControlReply)
    assert reply.ok, reply.detail
    assert b'"ready"' in reply.detail
