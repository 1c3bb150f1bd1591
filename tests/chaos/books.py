"""Whether every service's books balance when nobody asks for anything any more."""

import asyncio
import json
from typing import Any

from tests.serving import Served
from xylem.shared.protocol import Control, ControlReply, subjects
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.errors import Unavailable

BALANCED_S = 90.0  # orphans of a dead gateway live on for 10 s
KINDS = ("scheduler", "executor", "detokenizer")


async def check(bus: Bus, kind: str, instance: str) -> dict[str, Any]:
    """A service's own check_integrity(). Raises Unavailable; AssertionError when the books contradict themselves."""
    reply = await bus.request(subjects.control(kind, instance), Control(command="check"), ControlReply)
    detail: dict[str, Any] = json.loads(reply.detail)
    assert reply.ok, f"{kind} {instance}: {detail}"
    return detail


def leftovers(kind: str, detail: dict[str, Any]) -> dict[str, Any]:
    """What is still held, by name."""
    if kind == "scheduler":
        held = {
            f"{name}.{key}": books[key] for name, books in detail["executors"].items() for key in ("running", "held")
        }
        return {key: count for key, count in {"waiting": detail["waiting"], **held}.items() if count}
    names = {"executor": ("running", "held_pages"), "detokenizer": ("open_sequences",)}[kind]
    return {name: detail[name] for name in names if detail[name]}


async def balanced(served: Served, prefix: str = "") -> None:
    """Returns when nothing is held anywhere. Raises AssertionError that lists what is, after BALANCED_S.

    prefix: of the instances' ids, when they share a bus with others.
    """
    state = served.state
    found: dict[str, Any] = {"nothing": "asked yet"}
    bus = await Bus.connect(state["nats_url"], "books", timeout_s=5)
    try:
        async with asyncio.timeout(BALANCED_S):
            while found:
                found = {}
                for name in state["pids"]:
                    kind = name.rpartition("-")[0]
                    if kind in KINDS:
                        try:
                            held = leftovers(kind, await check(bus, kind, prefix + name))
                        except Unavailable as error:
                            held = {"error": error.message}
                        found |= {name: held} if held else {}
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"still held after {BALANCED_S:g} s: {found}") from None
    finally:
        await bus.drain()
