import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.conftest import NatsServer
from tests.patience import PATIENCE_S
from xylem.shared.protocol import Control, ControlReply, Presence, WhoIsThere, subjects
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.ports import free_port
from xylem.shared.runtime.presence import Directory
from xylem.shared.runtime.service import Service, StartupError, running
from xylem.shared.runtime.settings import RouterSettings

ROOT = Path(__file__).resolve().parents[3]


class Probe(Service[RouterSettings]):
    kind = "router"
    settings_type = RouterSettings

    def __init__(self, settings: RouterSettings) -> None:
        super().__init__(settings)
        self.calls: list[str] = []
        self.finished = asyncio.Event()
        self.finished.set()

    async def start(self) -> None:
        self.calls.append("start")

    async def drain(self) -> None:
        self.calls.append("drain")
        await self.finished.wait()

    async def stop(self) -> None:
        self.calls.append("stop")


def settings(url: str, name: str = "probe", **more: Any) -> RouterSettings:
    return RouterSettings(nats_url=url, id=name, heartbeat_s=0.05, **more)


class Watch:
    """A directory with its changes in a queue."""

    def __init__(self) -> None:
        self.directory = Directory("demonstration", heartbeat_s=0.05)
        self.changes: asyncio.Queue[tuple[Presence, bool]] = asyncio.Queue()
        self.directory.on_change(lambda presence, alive: self.changes.put_nowait((presence, alive)))

    async def until(self, instance: str, state: str, *, alive: bool = True) -> Presence:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                presence, is_alive = await self.changes.get()
                if (presence.id, presence.state, is_alive) == (instance, state, alive):
                    return presence


async def test_life_from_ready_to_bye_as_others_see_it(bus: Bus, nats_url: str) -> None:
    watch = Watch()
    await watch.directory.open(bus, "test")
    probe = Probe(settings(nats_url, "life"))
    async with running(probe):
        await watch.until("life", "ready")
        assert [peer.id for peer in watch.directory.live("router")] == ["life"]
    await watch.until("life", "draining")
    await watch.until("life", "bye", alive=False)
    assert watch.directory.find("router", "life") is None
    assert probe.calls == ["start", "drain", "stop"]


async def test_drain_is_bounded(nats_url: str, caplog: pytest.LogCaptureFixture) -> None:
    probe = Probe(settings(nats_url, "bounded", drain_s=0.05))
    async with running(probe):
        probe.finished.clear()
    assert probe.calls == ["start", "drain", "stop"]
    assert "not all had finished" in caplog.text


async def test_silence_is_death_and_an_outage_of_our_own_is_not(bus: Bus) -> None:
    watch = Watch()
    await watch.directory.open(bus, "test")
    await bus.publish(subjects.presence("router", "mute"), Presence("router", "mute", 1, "demonstration"))
    await watch.until("mute", "ready")
    now_s = asyncio.get_running_loop().time()
    watch.directory.expire(now_s)
    assert watch.directory.find("router", "mute") is not None
    watch.directory.forgive(now_s + 100)
    watch.directory.expire(now_s + 100)
    assert watch.directory.find("router", "mute") is not None
    watch.directory.expire(now_s + 101)
    assert (await watch.until("mute", "bye", alive=False)).epoch == 1


async def test_who_stands_still_buries_nobody(bus: Bus, nats_url: str) -> None:
    """Right after its heartbeat, so that it looks who is alive before it has heard anybody."""
    probe = Probe(settings(nats_url, "still"))
    buried: list[str] = []
    stood_still = asyncio.Semaphore(0)

    async def stand_still(_: Presence) -> None:
        until_s = time.perf_counter() + 0.3  # three heartbeats are 0.15
        while time.perf_counter() < until_s:
            pass
        stood_still.release()

    async def live() -> None:
        while True:
            await bus.publish(subjects.presence("router", "other"), Presence("router", "other", 1, "demonstration"))
            await asyncio.sleep(0.02)

    async with running(probe):
        probe.directory.on_change(lambda peer, alive: None if alive else buried.append(peer.id))
        other = asyncio.create_task(live())
        await bus.listen(subjects.presence("router", "still"), Presence, stand_still)
        for _ in range(4):
            await asyncio.wait_for(stood_still.acquire(), PATIENCE_S)
        other.cancel()
        assert buried == []


async def test_who_is_there_is_answered_at_once(bus: Bus, nats_url: str) -> None:
    probe = Probe(RouterSettings(nats_url=nats_url, id="eager", heartbeat_s=10))
    async with running(probe):
        watch = Watch()
        await watch.directory.open(bus, "test")
        await watch.until("eager", "ready")


async def test_a_bye_of_an_older_life_does_not_bury_the_new_one(bus: Bus) -> None:
    watch = Watch()
    await watch.directory.open(bus, "test")
    for epoch, state in ((2, "ready"), (1, "bye"), (2, "draining")):
        await bus.publish(
            subjects.presence("router", "twice"), Presence("router", "twice", epoch, "demonstration", state)
        )
    await watch.until("twice", "draining")
    assert watch.directory.find("router", "twice") is not None


async def test_other_models_are_not_seen(bus: Bus) -> None:
    watch = Watch()
    await watch.directory.open(bus, "test")
    await bus.publish(subjects.presence("router", "foreign"), Presence("router", "foreign", 1, "other-model"))
    await bus.publish(subjects.presence("router", "own"), Presence("router", "own", 1, "demonstration"))
    await watch.until("own", "ready")
    assert watch.directory.find("router", "foreign") is None


async def test_control(bus: Bus, nats_url: str) -> None:
    async with running(Probe(settings(nats_url, "controlled"))):
        subject = subjects.control("router", "controlled")
        reply = await bus.request(subject, Control(command="ping"), ControlReply)
        assert (reply.ok, json.loads(reply.detail)["state"]) == (True, "ready")
        for bad in (Control(command="explode"), Control(command="ping", arguments=b"{")):
            reply = await bus.request(subject, bad, ControlReply)
            assert not reply.ok
            assert "error" in json.loads(reply.detail)


async def test_reconnection_is_a_new_epoch_and_peers_are_found_again(own_nats_server: NatsServer) -> None:
    probe = Probe(settings(own_nats_server.url, "again"))
    async with running(probe):
        before = probe.epoch
        own_nats_server.kill()
        own_nats_server.start()
        bus = await Bus.connect(own_nats_server.url, "test", timeout_s=5)
        watch = Watch()
        await watch.directory.open(bus, "test")
        async with asyncio.timeout(PATIENCE_S):
            while (await watch.until("again", "ready")).epoch <= before:
                pass
        await bus.drain()


async def test_a_name_can_t_be_taken_while_its_owner_lives(nats_url: str) -> None:
    owner = Probe(settings(nats_url, "same"))
    async with running(owner):
        with pytest.raises(ExceptionGroup) as caught:
            async with running(Probe(settings(nats_url, "same"))):
                pass
        assert isinstance(caught.value.exceptions[0], StartupError)
        assert "already here" in str(caught.value.exceptions[0])
        assert not owner.stopping.is_set()
    async with running(Probe(settings(nats_url, "same"))):  # it has gone, and so the name is free
        pass


async def test_who_comes_back_to_a_name_that_another_one_has_taken_goes(bus: Bus, nats_url: str) -> None:
    probe = Probe(settings(nats_url, "back"))
    async with running(probe):
        subject = subjects.presence("router", "back")
        younger = Presence("router", "back", probe.epoch + 10_000, "demonstration")
        await bus.publish(subject, younger)
        before = probe.epoch
        probe.renew_epoch()
        await bus.publish(subject, msgspec.structs.replace(younger, epoch=before))  # its own, come late
        await bus.barrier()
        await probe.bus.barrier()
        assert not probe.stopping.is_set()
        await bus.publish(subject, msgspec.structs.replace(younger, epoch=before - 1))
        await asyncio.wait_for(probe.stopping.wait(), PATIENCE_S)


async def test_a_start_up_error_comes_out_as_itself(nats_url: str) -> None:
    class Broken(Probe):
        async def start(self) -> None:
            raise StartupError("no such thing")

    with pytest.raises(ExceptionGroup) as caught:
        async with running(Broken(settings(nats_url, "broken"))):
            pass
    assert caught.group_contains(StartupError, match="no such thing")


async def test_a_failing_task_ends_the_service(nats_url: str) -> None:
    async def fail() -> None:
        raise RuntimeError("on purpose")

    probe = Probe(settings(nats_url, "failing"))
    with pytest.raises(ExceptionGroup) as caught:
        async with running(probe):
            probe.spawn(fail(), name="fail")
            await asyncio.Event().wait()
    assert caught.group_contains(RuntimeError, match="on purpose")
    assert "stop" in probe.calls


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_exits_with_0_on_a_signal(nats_url: str, number: signal.Signals) -> None:
    environment = {**os.environ, "XYLEM_NATS_URL": nats_url, "XYLEM_ID": f"signal-{number}"}
    process = subprocess.Popen(
        [sys.executable, "-m", "xylem.services.router"], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "is ready" in line:
            break
    process.send_signal(number)
    rest = process.communicate(timeout=PATIENCE_S)[1]
    assert process.returncode == 0, rest


def test_no_nats_is_one_clear_line_and_exit_1() -> None:
    environment = {**os.environ, "XYLEM_NATS_URL": f"nats://127.0.0.1:{free_port()}", "XYLEM_CONNECT_S": "0.3"}
    result = subprocess.run(
        [sys.executable, "-m", "xylem.services.router"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert result.returncode == 1
    assert "no NATS server at" in result.stderr
    assert "Traceback" not in result.stderr


async def test_who_is_there_message_reaches_the_bus(bus: Bus) -> None:
    heard: asyncio.Queue[WhoIsThere] = asyncio.Queue()
    await bus.listen(subjects.WHO_IS_THERE, WhoIsThere, heard.put)
    await Watch().directory.open(bus, "asker")
    assert (await asyncio.wait_for(heard.get(), PATIENCE_S)).asker == "asker"
