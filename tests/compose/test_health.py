"""The check inside a container, against a service on a real bus."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from xylem.shared.runtime import health
from xylem.shared.runtime.ports import free_port
from xylem.shared.runtime.service import Service, running
from xylem.shared.runtime.settings import RouterSettings

ROOT = Path(__file__).resolve().parents[2]


class Quiet(Service[RouterSettings]):
    kind = "router"
    settings_type = RouterSettings


def settings(url: str) -> RouterSettings:
    return RouterSettings(nats_url=url, id="health-0", heartbeat_s=0.1)


async def test_the_service_says_its_state(nats_url: str) -> None:
    service = Quiet(settings(nats_url))
    async with running(service):
        assert await health.ask(nats_url, "router", "health-0") == "ready"
        service.state = "starting"
        assert await health.ask(nats_url, "router", "health-0") == "starting"


def check(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "xylem.shared.runtime.health", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=ROOT,
        env={**os.environ, "XYLEM_ID": "health-1", **environment},
    )


@pytest.mark.parametrize("there", [True, False])
def test_nobody_is_not_healthy(nats_url: str, there: bool) -> None:
    url = nats_url if there else f"nats://127.0.0.1:{free_port()}"
    ended = check("router", XYLEM_NATS_URL=url)
    assert ended.returncode == 1
    assert ended.stdout.count("\n") == 1
    assert ("nobody serves" if there else "no NATS server") in ended.stdout
    assert ended.stderr == ""


def test_wrong_use_is_told_apart() -> None:
    assert check().returncode == 2
    assert check("router", XYLEM_PROT="1").returncode == 2


def test_main_is_healthy_only_when_ready(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("XYLEM_ID", "me")
    for state, code in (("ready", 0), ("draining", 0), ("starting", 1)):

        async def ask(url: str, kind: str, instance: str, ca_file: str, state: str = state) -> str:
            return state

        monkeypatch.setattr(health, "ask", ask)
        assert health.main(["router"]) == code
        assert capsys.readouterr().out == f"router me: {state}\n"
