"""A stream that breaks off with its gateway is read to its end through another one."""

import contextlib
import json
import os
import signal
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.serving import Served
from tests.system.asking import chat_body, until_ready, urls

SEEDED: dict[str, Any] = {"temperature": 0.9, "seed": 11, "n": 2, "max_tokens": 400, "ignore_eos": True}
OPTIONS = {"event_ids": True, "include_usage": True}


@dataclass
class Reading:
    """What a client has of a stream, over all its connections."""

    texts: dict[int, str] = field(default_factory=lambda: defaultdict(str))
    roles: int = 0
    reasons: dict[int, str] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)
    heads: set[tuple[str, int]] = field(default_factory=set)
    last_id: str = ""
    num_events: int = 0

    def take(self, lines: Iterator[str], stop_after: int = 1 << 30) -> bool:
        """Reads up to so many events; True when the stream has ended."""
        for line in lines:
            if line.startswith("id: "):
                self.last_id = line[4:]
            if not line.startswith("data: "):
                continue
            if line == "data: [DONE]":
                return True
            chunk = json.loads(line[6:])
            assert "error" not in chunk, chunk
            self.heads.add((chunk["id"], chunk["created"]))
            self.usage = chunk["usage"] or self.usage
            for choice in chunk["choices"]:
                self.texts[choice["index"]] += choice["delta"].get("content") or ""
                self.roles += "role" in choice["delta"]
                if choice["finish_reason"]:
                    assert choice["index"] not in self.reasons, "finished twice"
                    self.reasons[choice["index"]] = choice["finish_reason"]
            self.num_events += 1
            if self.num_events >= stop_after:
                return False
        return False


def ask(url: str, reading: Reading, stop_after: int = 1 << 30, **fields: Any) -> bool:
    body = chat_body("Tell me a long story.", stream=True, stream_options=OPTIONS, **fields)
    headers = {"Last-Event-ID": reading.last_id} if reading.last_id else {}
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=body, headers=headers, timeout=60) as response:
        assert response.status_code == 200, response.read()
        return reading.take(response.iter_lines(), stop_after)


def undisturbed(url: str) -> Reading:
    reading = Reading()
    assert ask(url, reading, **SEEDED)
    return reading


def agree(reading: Reading, expected: Reading) -> None:
    assert dict(reading.texts) == dict(expected.texts)
    assert reading.reasons == expected.reasons == {0: "length", 1: "length"}
    assert reading.usage["completion_tokens"] == expected.usage["completion_tokens"] == 2 * 400
    assert reading.usage["prompt_tokens"] == expected.usage["prompt_tokens"]
    assert len(reading.heads) == 1, "another id or time after the break"
    assert reading.roles == 2


@pytest.mark.parametrize("victims", [["gateway-1"], ["gateway-1", "detokenizer-0", "detokenizer-1"]])
def test_the_gateway_is_killed(pair: Served, victims: list[str]) -> None:
    first, second = urls(pair)
    until_ready(second)
    expected = undisturbed(first)
    reading = Reading()
    body = chat_body("Tell me a long story.", stream=True, stream_options=OPTIONS, **SEEDED)
    with httpx.stream("POST", f"{second}/v1/chat/completions", json=body, timeout=60) as response:
        lines = response.iter_lines()
        assert not reading.take(lines, stop_after=10)  # events: on a busy machine each has many tokens
        for victim in victims:
            os.kill(pair.state["pids"][victim], signal.SIGKILL)
        with contextlib.suppress(httpx.RemoteProtocolError):  # what is in the socket's buffer still counts
            assert not reading.take(lines)
    assert ask(first, reading, **SEEDED)
    agree(reading, expected)


def test_the_connection_breaks_again_and_again(pair: Served) -> None:
    """The gateway lives: it ends the request when its client leaves, and the next connection goes on from there."""
    url, _ = urls(pair)
    expected = undisturbed(url)
    reading = Reading()
    for stop_after in (1, 2, 7, 10, 11, 16):
        assert not ask(url, reading, stop_after, **SEEDED)
    assert ask(url, reading, **SEEDED)
    agree(reading, expected)


def test_a_stream_that_had_ended_can_be_read_again_from_any_event(pair: Served) -> None:
    url, _ = urls(pair)
    unseeded: dict[str, Any] = {"temperature": 0.9, "max_tokens": 200, "ignore_eos": True}
    whole, part = Reading(), Reading()
    assert not ask(url, part, 5, **unseeded)
    whole.last_id = part.last_id
    assert ask(url, whole, **unseeded)
    again = Reading(last_id=part.last_id)
    assert ask(url, again, **unseeded)
    assert again.texts[0] == whole.texts[0]
    assert again.usage["completion_tokens"] == 200


def test_a_bookmark_of_nothing_is_a_bad_request(pair: Served) -> None:
    response = httpx.post(
        f"{pair.url}/v1/chat/completions", json=chat_body("Hi", stream=True), headers={"Last-Event-ID": "7"}, timeout=60
    )
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "Last-Event-ID"
