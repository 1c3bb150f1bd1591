"""The gateway's port with TLS, also for those who say something else on it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import certificates
from tests.certificates import Pair
from tests.patience import PATIENCE_S
from tests.services.gateway.http.raw_http import error_of, parsed, post
from xylem.services.gateway.http.tls import server_context
from xylem.services.gateway.service import GatewayService
from xylem.shared.runtime.service import StartupError

COMPLETIONS = "/v1/completions"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return certificates.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def trust(pair: Pair) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(pair.certificate))


@pytest.fixture
async def secured(serving: Any, pair: Pair) -> AsyncIterator[GatewayService]:
    async with serving(
        tls_cert_file=str(pair.certificate), tls_key_file=str(pair.key), max_body_bytes=5000, client_timeout_s=1.0
    ) as service:
        yield service


def address(service: GatewayService) -> tuple[str, int]:
    assert service.server is not None
    host, port = service.server.url.removeprefix("https://").split(":")
    return host, int(port)


async def session(service: GatewayService, trust: ssl.SSLContext | None, *pieces: bytes) -> bytes:
    """Sends all the pieces without reading, then reads to the end."""
    reader, writer = await asyncio.open_connection(*address(service), ssl=trust)
    try:
        for piece in pieces:
            writer.write(piece)
        return await asyncio.wait_for(reader.read(), PATIENCE_S)
    finally:
        writer.transport.abort()


async def test_answers_and_streams_are_encrypted(secured: GatewayService, trust: ssl.SSLContext) -> None:
    assert secured.server is not None
    async with httpx.AsyncClient(base_url=secured.server.url, verify=trust, timeout=PATIENCE_S) as http:
        for stream in (False, True):
            answer = await http.post(COMPLETIONS, json={"prompt": "x", "stream": stream})
            assert answer.status_code == 200
            assert "w4 " in answer.text
    async with httpx.AsyncClient(base_url=secured.server.url, timeout=PATIENCE_S) as stranger:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await stranger.get("/health")


async def test_plain_http_is_not_answered(secured: GatewayService) -> None:
    assert b"HTTP/1.1 200" not in await session(secured, None, b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")


def test_old_versions_are_not_spoken(pair: Pair) -> None:
    context = server_context(str(pair.certificate), str(pair.key))
    assert context is not None
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([b"GET /health HTTP/1.1\r\nhost: x\r\na: " + b"x" * 200_000 + b"\r\n\r\n"], 431),
        ([b"no HTTP at all\r\n\r\n"], 400),
        ([b"GET /health HTTP/1.1\r\nhost: x\r\na: "], 408),
        ([post(b"x" * 6000)], 413),
        ([b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 9000000\r\n\r\n", b"x" * 1_000_000], 413),
        ([b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"], 408),
    ],
    ids=["long head", "no HTTP", "slow head", "large body", "large body on its way", "slow body"],
)
async def test_refusals_arrive_whole(
    secured: GatewayService, trust: ssl.SSLContext, pieces: list[bytes], status: int
) -> None:
    answered, headers, body = parsed(await session(secured, trust, *pieces))
    assert answered == status, body
    assert int(headers["content-length"]) == len(body)
    error_of(body)


@pytest.mark.parametrize(
    ("certificate", "key", "complaint"),
    [
        ("certificate", "", "needs both"),
        ("", "key", "needs both"),
        ("certificate", "missing", "No such file"),
        ("key", "key", "can't be had"),
        ("certificate", "locked_key", "the key is encrypted"),
    ],
)
def test_what_can_not_be_used_is_said(pair: Pair, certificate: str, key: str, complaint: str) -> None:
    def path(name: str) -> str:
        return str(getattr(pair, name, Path("/nowhere/tls.key"))) if name else ""

    with pytest.raises(StartupError, match=complaint):
        server_context(path(certificate), path(key))


def test_without_files_there_is_none() -> None:
    assert server_context("", "") is None
