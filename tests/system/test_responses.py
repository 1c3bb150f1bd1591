"""Responses whose gateway is killed end as if nothing had happened, and any gateway has them."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.patience import PATIENCE_S
from tests.serving import Served
from tests.system.asking import until_ready, urls

BODY = {
    "model": "demonstration",
    "input": "Tell me a long story.",
    "temperature": 0.9,
    "seed": 11,
    "max_output_tokens": 400,  # so many that whoever is slow to kill finds it running
    "ignore_eos": True,
}
Event = dict[str, Any]
RUNNING = ("queued", "in_progress")


def events_of(lines: Iterator[str], told: list[Event], stop_after: int = 1 << 30) -> None:
    """Reads on until so many have been told."""
    for line in lines:
        if line.startswith("data: "):
            told.append(json.loads(line[6:]))
            assert told[-1]["type"] != "error", told[-1]
        if len(told) >= stop_after:
            return


def make(url: str, **more: Any) -> list[Event]:
    told: list[Event] = []
    with httpx.stream("POST", f"{url}/v1/responses", json=BODY | {"stream": True} | more, timeout=60) as response:
        assert response.status_code == 200, response.read()
        events_of(response.iter_lines(), told)
    return told


def read_on(url: str, told: list[Event]) -> None:
    params = {"stream": "true", "starting_after": told[-1]["sequence_number"]}
    path = f"{url}/v1/responses/{told[0]['response']['id']}"
    with httpx.stream("GET", path, params=params, timeout=60) as response:
        assert response.status_code == 200, response.read()
        events_of(response.iter_lines(), told)


def alike(told: list[Event]) -> list[tuple[Any, ...]]:
    """What must be the same in the streams of two responses."""
    return [(event["sequence_number"], event["type"], event.get("delta"), event.get("text")) for event in told]


def text_of(response: Any) -> str:
    return str(response["output"][-1]["content"][0]["text"])


def show(url: str, identity: str) -> Any:
    response = httpx.get(f"{url}/v1/responses/{identity}", timeout=30)
    assert response.status_code == 200, response.text
    return response.json()


def ended(url: str, identity: str) -> Any:
    deadline_s = time.monotonic() + 120
    while (response := show(url, identity))["status"] in RUNNING:
        assert time.monotonic() < deadline_s, response
    return response


def kill(pair: Served, *victims: str) -> None:
    for victim in victims:
        os.kill(pair.state["pids"][victim], signal.SIGKILL)


@pytest.fixture(scope="module")
def expected(pair: Served) -> list[Event]:
    return make(pair.url)


def begun(url: str, **more: Any) -> str:
    """A background response that has told a part of its text."""
    body = BODY | {"background": True} | more
    identity = str(httpx.post(f"{url}/v1/responses", json=body, timeout=30).json()["id"])
    told: list[Event] = []
    with httpx.stream("GET", f"{url}/v1/responses/{identity}", params={"stream": "true"}, timeout=30) as response:
        events_of(response.iter_lines(), told, stop_after=30)
    return identity


@pytest.mark.parametrize("victims", [["gateway-1"], ["gateway-1", "detokenizer-0", "detokenizer-1"]])
def test_a_stream_is_read_on(pair: Served, expected: list[Event], victims: list[str]) -> None:
    first, second = urls(pair)
    until_ready(second)
    told: list[Event] = []
    body = BODY | {"stream": True}
    with httpx.stream("POST", f"{second}/v1/responses", json=body, timeout=60) as response:
        lines = response.iter_lines()
        events_of(lines, told, stop_after=40)
        kill(pair, *victims)
        with contextlib.suppress(httpx.RemoteProtocolError):  # what is in the socket's buffer still counts
            events_of(lines, told)
    assert told[-1]["type"] == "response.output_text.delta"
    read_on(first, told)
    assert alike(told) == alike(expected)
    final = told[-1]["response"]
    assert final["usage"]["output_tokens"] == BODY["max_output_tokens"]
    assert final["created_at"] == told[0]["response"]["created_at"]
    assert show(first, final["id"]) == final
    until_ready(second)
    assert show(second, final["id"]) == final
    assert ended(second, final["id"]) == final


@pytest.mark.parametrize("victims", [["gateway-1"], ["gateway-0", "gateway-1"]])
def test_a_background_response_ends_by_itself(pair: Served, expected: list[Event], victims: list[str]) -> None:
    first, second = urls(pair)
    until_ready(second)
    identity = begun(second)
    kill(pair, *victims)
    until_ready(first)  # nobody asks for the response until it has been adopted and has ended
    final = ended(first, identity)
    assert final["status"] == "incomplete"
    assert text_of(final) == text_of(expected[-1]["response"])
    until_ready(second)
    again: list[Event] = []
    with httpx.stream("GET", f"{second}/v1/responses/{identity}", params={"stream": "true"}, timeout=60) as response:
        events_of(response.iter_lines(), again)
    texts = [event["delta"] for event in expected if event["type"].endswith("text.delta")]
    assert [event["delta"] for event in again if event["type"].endswith("text.delta")] == texts
    assert again[-1]["response"] == final


def test_a_gateway_that_hung_does_no_harm_when_it_wakes_up(pair: Served, expected: list[Event]) -> None:
    first, second = urls(pair)
    until_ready(second)
    identity = begun(second)
    victim = pair.state["pids"]["gateway-1"]
    os.kill(victim, signal.SIGSTOP)
    try:
        final = ended(first, identity)
    finally:
        os.kill(victim, signal.SIGCONT)
    assert text_of(final) == text_of(expected[-1]["response"])
    until_ready(second)
    assert ended(second, identity) == final
    assert show(first, identity) == final


def test_what_a_dead_gateway_made_is_cancelled(pair: Served, expected: list[Event]) -> None:
    first, second = urls(pair)
    until_ready(second)
    identity = begun(second, max_output_tokens=3000)  # it must not come to its end before it is cancelled
    kill(pair, "gateway-1")
    cancelled = httpx.post(f"{first}/v1/responses/{identity}/cancel", timeout=60).json()
    assert cancelled["status"] == "cancelled"
    told, known = text_of(cancelled), text_of(expected[-1]["response"])
    assert told
    assert told[: len(known)] == known[: len(told)]
    until_ready(second)
    assert show(second, identity) == cancelled
    assert httpx.delete(f"{second}/v1/responses/{identity}", timeout=PATIENCE_S).json()["deleted"]
    assert httpx.get(f"{first}/v1/responses/{identity}", timeout=PATIENCE_S).status_code == 404


def test_nats_is_killed(pair: Served, expected: list[Event]) -> None:
    """In the midst of a stream, which goes on; what was stored is there again, and so is what ended meanwhile."""
    first, second = urls(pair)
    until_ready(second)
    before = make(first, max_output_tokens=5)[-1]["response"]
    told: list[Event] = []
    with httpx.stream("POST", f"{first}/v1/responses", json=BODY | {"stream": True}, timeout=60) as response:
        lines = response.iter_lines()
        events_of(lines, told, stop_after=40)
        kill(pair, "nats-0")
        events_of(lines, told)
    assert alike(told) == alike(expected)
    for url in (first, second):
        until_ready(url)
    assert ended(second, before["id"]) == before
    assert ended(second, told[0]["response"]["id"]) == told[-1]["response"]
