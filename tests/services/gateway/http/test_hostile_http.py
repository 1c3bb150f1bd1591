"""Requests that are broken, absurd or no HTTP at all: each gets a clean answer, and the next client is served."""

import pytest

from tests.services.gateway.http.raw_http import error_of, post, session
from xylem.services.gateway.service import GatewayService

CHAT = "/v1/chat/completions"
HUGE = b"1" + b"0" * 400


def user(fields: bytes) -> bytes:
    return b'{"messages": [{"role": "user", "content": "a"}], ' + fields + b"}"


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/v1/completions", b'{"prompt": "\xff"}', "UTF-8"),
        ("/v1/completions", rb'{"prompt": "half \ud800"}', "no valid JSON"),
        ("/v1/completions", rb'{"prompt": "half \ud800 of a pair"}', "surrogate"),
        ("/v1/completions", rb'{"prompt": "a", "stop": ["\udc00 is the other half"]}', "surrogate"),
        ("/v1/completions", rb'{"\ud800 as a name": 1}', "surrogate"),
        ("/v1/completions", b'{"prompt":' + b"[" * 200_000, "nested too deeply"),
        ("/v1/completions", b'{"prompt": "a", "temperature": NaN}', "no valid JSON"),
        ("/v1/completions", b'{"prompt": "a", "temperature": Infinity}', "no valid JSON"),
        ("/v1/completions", b'{"prompt": "a", "temperature": 1e400}', "out of range"),
        ("/v1/completions", b'{"prompt": "a", "temperature": ' + HUGE + b"}", "so large a number"),
        ("/v1/completions", b'{"prompt": "a", "max_tokens": ' + HUGE + b"}", "so large a number"),
        ("/v1/completions", b'{"prompt": "a", "seed": 1' + b"0" * 5000 + b"}", "out of range"),
        ("/v1/completions", b'{"prompt": [' + HUGE + b"]}", "token ids"),
        ("/v1/completions", b'{"prompt": [-1]}', "token ids"),
        ("/v1/completions", b"", "no valid JSON"),
        ("/v1/completions", b"\x00" * 64, "no valid JSON"),
        (CHAT, b'{"messages": [{"role": ' + HUGE + b"}]}", "so large a number"),
        (CHAT, b'{"messages": [{"role": "user", "content": [{"type": ' + b"[" * 900 + b"]" * 900 + b"}]}]}", "type"),
        (CHAT, b'{"messages": [{"role": "user", "content": [{"type": "' + b"x" * 10_000 + b'"}]}]}', "a string of"),
        ("/tokenize", user(b'"chat_template_kwargs": {"messages": []}, "prompt": "b"'), "either"),
    ],
)  # fmt: skip
async def test_a_body_that_makes_no_sense_is_a_400(
    gateway: GatewayService, path: str, body: bytes, message: str
) -> None:
    status, _, answer = await session(gateway, post(body, path))
    assert (status, message in error_of(answer)["message"]) == (400, True), answer
    assert len(answer) < 1000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", b'{"prompt": "first", "prompt": "the last one counts"}'),
        ("/v1/completions", b'{"prompt": "a", "seed": -' + HUGE + b"}"),
        ("/v1/completions", b'{"prompt": "a", "metadata": {"any": ' + HUGE + b"}}"),
        ("/v1/completions", rb'{"prompt": "\u0000\ud83d\ude42", "stop": ["\u0000"], "cache_salt": "* > \u0000"}'),
        (CHAT, user(b'"chat_template_kwargs": {"a": ' + HUGE + b"}")),
    ],
    ids=["twice", "seed", "metadata", "NUL", "template argument"],
)
async def test_what_is_odd_but_valid_is_served(gateway: GatewayService, path: str, body: bytes) -> None:
    status, _, answer = await session(gateway, post(body, path))
    assert status == 200, answer


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "invalid_request"),
        (b"BREW /v1/completions HTTP/1.1\r\nhost: x\r\n\r\n", 400, "invalid_request"),
        (b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n", 400, "invalid_request"),
        (b"GET http://[bad HTTP/1.1\r\nhost: x\r\n\r\n", 400, "invalid_request"),
        (b"CONNECT a:80 HTTP/1.1\r\nhost: x\r\n\r\n", 400, "invalid_request"),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: " + b"9" * 5000 + b"\r\n\r\n", 400, "invalid_request"),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n", 400, "invalid_request"),
        (
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "invalid_request",
        ),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 123456789012\r\n\r\n", 413, "payload_too_large"),
        (b"GET /health HTTP/1.1\r\nhost: x\r\na: " + b"x" * 100_000 + b"\r\n\r\n", 431, "head_too_large"),
        (b"GET /health HTTP/1.1\r\nhost: x\r\na: " + b"x" * 1_000_000, 431, "head_too_large"),
        (b"GET /health HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 50_000 + b"\r\n", 431, "head_too_large"),
        (b"GET /%ff%00%0d%0a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 404, "not_found"),
        (b"GET /v1/models/%ff%00%2e HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 404, "model_not_found"),
        (b"OPTIONS /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 405, "method_not_allowed"),
        (b"PUT /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 405, "method_not_allowed"),
        (b"DELETE /v1/models/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 405, "method_not_allowed"),
    ],
)  # fmt: skip
async def test_what_is_no_request_is_told_so(gateway: GatewayService, request_: bytes, status: int, code: str) -> None:
    answered, headers, body = await session(gateway, request_)
    assert (answered, error_of(body)["code"]) == (status, code)
    assert headers["content-type"] == "application/json"
    assert ("allow" in headers) == (status == 405)
    assert (await session(gateway, post(b'{"prompt": "a"}')))[0] == 200


async def test_head_has_no_body(gateway: GatewayService) -> None:
    status, headers, body = await session(gateway, b"HEAD /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert (status, body) == (404, b"")
    assert int(headers["content-length"]) > 0


async def test_pipelined_requests_are_answered_in_their_order(gateway: GatewayService) -> None:
    body = b'{"prompt": "a", "max_tokens":1}'
    one = b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    last = b"GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    _, _, rest = await session(gateway, one + b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n" + one + last)
    statuses = [part.split(b" ", 1)[0] for part in rest.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"200", b"404"]
    assert b"w0 " in rest.split(b"HTTP/1.1 ")[0]
