"""What is read off a stream, from a server that sends it in every shape."""

import json
from typing import Any

import pytest

from benchmarks.stream import Answer, Target, ask
from tests.benchmarks.openai_server import Reply, serving
from xylem.shared.runtime.ports import free_port

STREAM = (
    b": a comment\n\n"
    b'data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}\n\n'
    b'data: {"choices": [{"delta": {"content": "h\xc3\xa9"}}]}\r\n\r\n'
    b'data:{"choices": [{"delta": {"content": "llo"}, "finish_reason": "stop"}], "usage": null}\n\n'
    b'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5, '
    b'"prompt_tokens_details": {"cached_tokens": 4}}}\n\n'
)


async def asked(target: Target, timeout_s: float = 10) -> Answer:
    return await ask(target, "/chat/completions", {"model": target.model}, timeout_s)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 4096])
async def test_a_stream_is_the_same_however_it_is_cut(size: int) -> None:
    async def answering(body: dict[str, Any], reply: Reply) -> None:
        await reply.head()
        for at in range(0, len(STREAM), size):
            await reply.write(STREAM[at : at + size])
        await reply.end()

    async with serving(answering) as target:
        answer = await asked(target)
    assert (answer.text, answer.error) == ("héllo", "")
    assert (answer.num_prompt, answer.num_tokens, answer.num_cached) == (7, 5, 4)
    assert len(answer.arrivals_s) == 2  # two events said something; the five tokens are the server's count
    assert sorted(answer.arrivals_s) == answer.arrivals_s
    assert answer.arrivals_s[-1] <= answer.end_s


async def test_the_request_has_the_key_and_the_path_of_the_url() -> None:
    heads = []

    async def answering(body: dict[str, Any], reply: Reply) -> None:
        heads.append(body["head"])
        await reply.head()
        await reply.text("x")
        await reply.end()

    async with serving(answering, key="secret") as target:
        for url in (target.url, f"{target.url}/v1", f"{target.url}/v1/", f"{target.url}/behind/v1"):
            assert (await asked(Target(url, "fake", "secret"))).error == ""
    paths = [head.split(" ")[1] for head in heads]
    assert paths == ["/v1/chat/completions"] * 3 + ["/behind/v1/chat/completions"]
    assert all("Authorization: Bearer secret\r\n" in head for head in heads)


async def test_nothing_to_say_is_an_answer_that_came_when_the_stream_said_so() -> None:
    async def answering(body: dict[str, Any], reply: Reply) -> None:
        await reply.head()
        await reply.event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        await reply.end()

    async with serving(answering) as target:
        answer = await asked(target)
    assert (answer.text, answer.error, len(answer.arrivals_s)) == ("", "", 1)


async def refusing(reply: Reply) -> None:
    await reply.head(429)
    await reply.write(json.dumps({"error": {"message": "full"}}).encode())


async def breaking_off(reply: Reply) -> None:
    await reply.head()
    await reply.text("so f")


async def failing(reply: Reply) -> None:
    await reply.head()
    await reply.text("so f")
    await reply.event({"error": {"type": "server_error", "message": "broken"}})
    await reply.end()


async def silent(reply: Reply) -> None:
    await reply.head()
    await reply.end()


async def babbling(reply: Reply) -> None:
    await reply.head()
    await reply.write(b"data: {choices}\n\n")
    await reply.end()


async def hanging_up(reply: Reply) -> None:
    pass


@pytest.mark.parametrize(
    ("doing", "error"),
    [
        (refusing, "HTTP 429"),
        (breaking_off, "cut off"),
        (failing, "in the stream: server_error"),
        (silent, "empty"),
        (babbling, "not JSON"),
        (hanging_up, "closed unanswered"),
    ],
)
async def test_every_failure_has_a_kind(doing: Any, error: str) -> None:
    async def answering(body: dict[str, Any], reply: Reply) -> None:
        await doing(reply)

    async with serving(answering) as target:
        assert (await asked(target)).error == error


async def test_nobody_there_and_no_end_are_kinds_too() -> None:
    assert (await asked(Target(f"http://127.0.0.1:{free_port()}", "fake"))).error == "ConnectionRefusedError"

    async def answering(body: dict[str, Any], reply: Reply) -> None:
        await reply.head()

    async with serving(answering) as target:
        # Its connection is closed by the server at once, but the other way round it must not wait for ever.
        assert (await asked(target, timeout_s=0)).error == "timeout"
