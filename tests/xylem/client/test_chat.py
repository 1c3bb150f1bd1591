from typing import Any

import httpx
import pytest

from tests.xylem.chat_server import Gateway, client, stream
from xylem.client.chat import ChatClient, ChatError

HELLO = [{"role": "user", "content": "hello"}]


def test_an_answer_comes_in_pieces_from_the_first_model() -> None:
    gateway = Gateway()
    with client(gateway, parameters={"temperature": 0, "seed": None}) as it:
        assert list(it.answer(HELLO)) == ["1", ": ", "hello"]
    assert gateway.bodies == [{"model": "tiny", "messages": HELLO, "stream": True, "temperature": 0}]


def refuse(body: dict[str, Any]) -> httpx.Response:
    return httpx.Response(429, json={"error": {"message": "the queue is full"}})


def broken(body: dict[str, Any]) -> httpx.Response:
    return stream("so f", end="")


def failing(body: dict[str, Any]) -> httpx.Response:
    return stream("so f", end='data: {"error": {"message": "the executor died"}}\n\n')


def nonsense(body: dict[str, Any]) -> httpx.Response:
    return stream(end="data: {half\n\n")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (refuse, r"http://gateway refused \(429\): the queue is full"),
        (broken, "broke off"),
        (failing, "the executor died"),
        (nonsense, "no JSON"),
    ],
)
def test_what_goes_wrong_is_said_in_words(answer: Any, complaint: str) -> None:
    with client(Gateway(answer)) as it, pytest.raises(ChatError, match=complaint):
        list(it.answer(HELLO))


def test_a_server_of_another_kind_is_told_apart() -> None:
    with (
        client(lambda request: httpx.Response(200, text="hello")) as it,
        pytest.raises(ChatError, match="lists no models"),
    ):
        _ = it.model


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "not a url", "http://no-such-host.invalid"])
def test_no_server_says_how_to_start_one(url: str) -> None:
    with ChatClient(url) as it, pytest.raises(ChatError, match="xylem serve"):
        _ = it.model
