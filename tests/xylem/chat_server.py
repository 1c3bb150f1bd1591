"""A gateway of canned answers, as a transport for the client."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from xylem.client.chat import ChatClient

Answer = Callable[[dict[str, Any]], httpx.Response]


def stream(*pieces: str, end: str = "data: [DONE]\n\n") -> httpx.Response:
    def body() -> Iterator[bytes]:
        for piece in pieces:
            yield f"data: {json.dumps({'choices': [{'delta': {'content': piece}}]})}\n\n".encode()
        yield end.encode()

    return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body())


def echo(body: dict[str, Any]) -> httpx.Response:
    """Answers with what it was asked, and with how many messages came before."""
    return stream(f"{len(body['messages'])}", ": ", body["messages"][-1]["content"])


class Gateway:
    """Remembers the bodies that it was sent."""

    def __init__(self, answer: Answer = echo) -> None:
        self.bodies: list[dict[str, Any]] = []
        self._answer = answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/models":
            return httpx.Response(200, json={"data": [{"id": "tiny"}]})
        assert request.url.path == "/v1/chat/completions"
        self.bodies.append(json.loads(request.content))
        return self._answer(self.bodies[-1])


def client(handler: Callable[[httpx.Request], httpx.Response], **options: Any) -> ChatClient:
    return ChatClient("http://gateway/v1/", transport=httpx.MockTransport(handler), **options)
