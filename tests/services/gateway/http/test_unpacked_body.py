"""Compressed request bodies: the same answers as without, and a bound on what they become."""

import gzip
import json
import zlib
from typing import Any

import httpx
import pytest

from tests.patience import PATIENCE_S
from tests.services.gateway.http.raw_http import error_of
from xylem.services.gateway.http.unpacked_body import zstd  # type: ignore[attr-defined]

BODY = json.dumps({"prompt": "word " * 40, "max_tokens": 1}).encode()
PATH = "/v1/completions"
GZIPPED = gzip.compress(BODY, mtime=0)  # the same in each process that collects the tests
GZIPPED_TWICE = gzip.compress(BODY[:9], mtime=0) + gzip.compress(BODY[9:], mtime=0)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", GZIPPED),
        ("GZIP", GZIPPED),
        ("x-gzip", GZIPPED),
        ("gzip", GZIPPED_TWICE),
        ("zstd", zstd.compress(BODY)),
        ("zstd", zstd.compress(BODY[:9]) + zstd.compress(BODY[9:])),
        ("gzip", gzip.compress(BODY + b" " * 3_000_000, mtime=0)),
        ("zstd", zstd.compress(BODY + b" " * 3_000_000)),
        ("identity", BODY),
        ("", BODY),
    ],
)
async def test_a_packed_body_is_read(http: httpx.AsyncClient, coding: str, body: bytes) -> None:
    answer = await http.post(PATH, content=body, headers={"content-encoding": coding})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("coding", ["deflate", "br", "gzip, zstd", "compress", "lz4"])
async def test_other_codings_are_told_what_there_is(http: httpx.AsyncClient, coding: str) -> None:
    answer = await http.post(PATH, content=zlib.compress(BODY), headers={"content-encoding": coding})
    assert answer.status_code == 415
    assert "gzip, zstd" in error_of(answer.content)["message"]
    assert answer.headers["accept-encoding"] == "gzip, zstd"


@pytest.mark.parametrize(
    ("coding", "body", "reason"),
    [
        ("gzip", BODY, "no valid gzip"),
        ("zstd", BODY, "no valid zstd"),
        ("gzip", b"", "ends too early"),
        ("gzip", GZIPPED[:-1], "ends too early"),
        ("zstd", zstd.compress(BODY)[:-1], "ends too early"),
        ("gzip", GZIPPED + b"more", "no valid gzip"),
        ("gzip", gzip.compress(b"", mtime=0) * 100, "parts"),
    ],
)
async def test_what_can_not_be_unpacked_is_a_400(
    http: httpx.AsyncClient, coding: str, body: bytes, reason: str
) -> None:
    answer = await http.post(PATH, content=body, headers={"content-encoding": coding})
    assert answer.status_code == 400
    assert reason in error_of(answer.content)["message"]


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
async def test_a_body_may_not_become_too_large(serving: Any, pack: Any) -> None:
    coding = "gzip" if pack is gzip.compress else "zstd"
    async with (
        serving(max_body_bytes=200_000) as service,
        httpx.AsyncClient(base_url=service.server.url, timeout=PATIENCE_S) as http,
    ):
        headers = {"content-encoding": coding}
        small = await http.post(PATH, content=pack(BODY + b" " * 190_000), headers=headers)
        large = await http.post(PATH, content=pack(BODY + b" " * 210_000), headers=headers)
    assert (small.status_code, large.status_code) == (200, 413)
    assert "200000" in error_of(large.content)["message"]


async def test_a_byte_order_mark_is_passed_over(http: httpx.AsyncClient) -> None:
    assert (await http.post(PATH, content=b"\xef\xbb\xbf" + BODY)).status_code == 200
