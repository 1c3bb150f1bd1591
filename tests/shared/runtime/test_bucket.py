"""A key-value bucket against a real server."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import NatsServer
from tests.patience import PATIENCE_S
from xylem.shared.protocol import subjects
from xylem.shared.runtime import permissions
from xylem.shared.runtime.bucket import Bucket, Stale
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.errors import PayloadTooLarge, Unavailable


async def opened(bus: Bus, name: str = "things", *, max_bytes: int = 1 << 20, ttl_s: float = 60.0) -> Bucket:
    bucket = Bucket(bus, name, ttl_s=ttl_s, max_bytes=max_bytes, replicas=1)
    await bucket.open()
    return bucket


@pytest.fixture
def without_store(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path, stores=False)
    server.start()
    yield server
    server.kill()


async def test_only_who_knows_the_latest_revision_writes(bus: Bus) -> None:
    bucket = await opened(bus)
    assert await bucket.get("a") is None
    first = await bucket.put("a", b"1", 0)
    assert await bucket.get("a") == (b"1", first)
    second = await bucket.put("a", b"2", first)
    for revision in (0, first):
        with pytest.raises(Stale):
            await bucket.put("a", b"3", revision)
    assert await bucket.get("a") == (b"2", second)
    await bucket.remove("a")
    assert await bucket.get("a") is None
    with pytest.raises(Stale):
        await bucket.put("a", b"3", second)
    await bucket.put("a", b"4", 0)
    await bucket.remove("a")


async def test_keys_are_found_by_their_parts(bus: Bus) -> None:
    bucket = await opened(bus, "parts")
    for key in ("m.1", "m.1.open", "m.2", "n.3.open"):
        await bucket.put(key, b"", 0)
    assert await bucket.keys("m.*.open") == ["m.1.open"]
    assert sorted(await bucket.keys("*.*")) == ["m.1", "m.2"]
    assert await bucket.keys("x.*") == []


async def test_the_oldest_gives_way(bus: Bus) -> None:
    bucket = await opened(bus, "small", max_bytes=4000)
    for key in "abc":
        await bucket.put(key, b"x" * 1500, 0)
    assert [await bucket.get(key) is not None for key in "abc"] == [False, True, True]


async def test_other_settings_hold_from_the_next_opening_on(bus: Bus) -> None:
    first = await opened(bus, "changed")
    await first.put("a", b"x" * 1500, 0)
    second = await opened(bus, "changed", max_bytes=2000, ttl_s=30.0)
    await second.put("b", b"x" * 1500, 0)
    assert await first.get("a") is None


async def test_what_no_message_carries_is_refused(bus: Bus) -> None:
    bucket = await opened(bus)
    with pytest.raises(PayloadTooLarge):
        await bucket.put("a", b"x" * bus.max_payload, 0)


async def test_what_was_stored_outlives_the_server(own_nats_server: NatsServer) -> None:
    before = await Bus.connect(own_nats_server.url, "before", timeout_s=5)
    revision = await (await opened(before)).put("a", b"1", 0)
    own_nats_server.kill()
    with pytest.raises(Unavailable):
        await Bucket(before, "things", ttl_s=60.0, max_bytes=1 << 20, replicas=1).get("a")
    own_nats_server.start()
    after = await Bus.connect(own_nats_server.url, "after", timeout_s=5)
    assert await (await opened(after)).get("a") == (b"1", revision)
    for bus in (before, after):
        await bus.drain()


async def test_one_that_is_there_is_opened_where_a_second_one_has_no_room(tmp_path: Path) -> None:
    store = f'jetstream {{ store_dir: "{tmp_path}", max_file_store: {3 << 19} }}'  # one and a half of it
    server = NatsServer(tmp_path, store, stores=False)
    server.start()
    bus = await Bus.connect(server.url, "test", timeout_s=5)
    revision = await (await opened(bus)).put("a", b"1", 0)
    assert await (await opened(bus)).get("a") == (b"1", revision)
    larger = await opened(bus, max_bytes=1 << 21)  # more than there is room for: it serves as it is
    assert await larger.get("a") == (b"1", revision)
    with pytest.raises(Unavailable):
        await opened(bus, "second")
    await bus.drain()
    server.kill()


async def test_a_bucket_that_is_gone_is_not_an_absent_key(bus: Bus) -> None:
    bucket = await opened(bus, "gone")
    await bus.jetstream(5.0).delete_stream(subjects.bucket_stream("gone"))
    with pytest.raises(Unavailable):
        await bucket.get("a")
    assert bucket.trouble
    assert await bucket.get("a") is None  # it has been looked for, and made anew
    assert not bucket.trouble


async def test_a_bucket_is_opened_when_it_can_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = NatsServer(tmp_path, stores=False)
    server.start()
    bus = await Bus.connect(server.url, "test", timeout_s=5)
    bucket = Bucket(bus, "things", ttl_s=60.0, max_bytes=1 << 20, replicas=1)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await bucket.get("a")
    assert caplog.text.count("does not serve") == 1
    server.kill()
    server.enable_store()
    server.start()
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(Unavailable):
                assert await bucket.get("a") is None
                break
            await asyncio.sleep(0.05)
    assert caplog.text.count("serves again") == 1
    await bus.drain()
    server.kill()


async def test_a_server_without_jetstream_says_so(without_store: NatsServer) -> None:
    bus = await Bus.connect(without_store.url, "test", timeout_s=5)
    with pytest.raises(Unavailable, match="no JetStream"):
        await opened(bus)
    await bus.drain()


async def test_a_gateway_may_all_of_that(tmp_path: Path) -> None:
    """What the other kinds may not: test_permissions.py."""
    passwords = permissions.passwords()
    server = NatsServer(tmp_path, permissions.configuration(passwords))
    server.start()
    bus = await Bus.connect(permissions.url_of(server.url, "gateway", passwords["gateway"]), "gateway", timeout_s=5)
    bucket = await opened(bus, subjects.RESPONSES)
    await opened(bus, subjects.RESPONSES, ttl_s=30.0)
    revision = await bucket.put("m.r", b"1", 0)
    assert await bucket.get("m.r") == (b"1", revision)
    assert await bucket.keys("m.*") == ["m.r"]
    await bucket.remove("m.r")
    await bus.drain()
    server.kill()
