import os
import socket
from typing import Any

import pytest

from xylem.cli.serve.child import Member
from xylem.cli.serve.fleet import SERVICES, Fleet, FleetError, assemble, parse_replicas
from xylem.shared.runtime.ports import free_port
from xylem.shared.runtime.settings import ExecutorSettings, SettingsError

NATS = "nats://127.0.0.1:1"


def fleet(replicas: str = "", groups: int = 1, **given: str) -> Fleet:
    return assemble(
        {"port": "0", **given}, parse_replicas(replicas), lambda kind: f"{NATS}/{kind}", os.environ, groups=groups
    )


def named(it: Fleet, name: str) -> Member:
    return next(member for member in it.members if member.name == name)


def test_one_of_each_by_default() -> None:
    it = fleet()
    assert [member.name for member in it.members] == [f"{kind}-0" for kind in SERVICES]
    for member in it.members:
        assert list(member.command[-2:]) == ["-m", f"xylem.services.{member.kind}"]
        assert member.environment["XYLEM_ID"] == member.name
        assert member.environment["XYLEM_NATS_URL"] == f"{NATS}/{member.kind}"
    assert named(it, "gateway-0").environment["XYLEM_PORT"] == str(it.port)
    assert it.url == f"http://127.0.0.1:{it.port}"


def test_replicas_have_names_of_their_own_and_share_the_cores() -> None:
    it = fleet("tokenizer=2,executor=2", id="left")
    assert {"tokenizer-0", "tokenizer-1", "executor-1"} <= {member.name for member in it.members}
    assert named(it, "tokenizer-1").environment["XYLEM_ID"] == "left-tokenizer-1"
    assert int(named(it, "executor-1").environment["XYLEM_THREADS"]) == max(1, (os.cpu_count() or 1) // 2)
    assert fleet("executor=2", threads="3").members[0].environment["XYLEM_THREADS"] == "3"
    assert "XYLEM_THREADS" not in fleet().members[0].environment


def test_a_second_scheduler_stands_by() -> None:
    it = fleet("scheduler=2")
    assert all("XYLEM_GROUP" not in member.environment for member in it.members)


def test_groups_split_schedulers_and_executors() -> None:
    it = fleet("scheduler=2,executor=3", groups=2)
    groups = {m.name: m.environment["XYLEM_GROUP"] for m in it.members if m.kind in ("scheduler", "executor")}
    assert groups == {
        "scheduler-0": "default-0",
        "scheduler-1": "default-1",
        "executor-0": "default-0",
        "executor-1": "default-1",
        "executor-2": "default-0",
    }


def test_flags_reach_every_service_and_the_environment_holds_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XYLEM_DRAIN_S", "7")
    monkeypatch.setenv("XYLEM_MODEL", "from/environment")
    it = fleet(model="some/Where-1.5B", page_size="8")
    assert {m.environment["XYLEM_MODEL"] for m in it.members} == {"some/Where-1.5B"}
    assert {m.environment["XYLEM_PAGE_SIZE"] for m in it.members} == {"8"}
    assert (it.model_name, it.drain_s) == ("Where-1.5B", 7)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"page_size": "0"}, "page_size: Input should be greater"),
        ({"model": "///"}, "can't be used as a model name"),
        ({"host": "203.0.113.7", "port": "80"}, "can't listen on 203.0.113.7:80: .*choose another --port"),
    ],
)
def test_what_can_not_work_is_refused_before_anything_starts(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises((SettingsError, FleetError), match=complaint):
        fleet(**given)


def test_a_taken_port_is_refused() -> None:
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(FleetError, match=f"127.0.0.1:{port}: Address already in use"):
            fleet(port=str(port))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("tokeniser=2", "'tokeniser' is no service; there are executor"),
        ("tokenizer", "must be tokenizer=N"),
        ("tokenizer=0", "from 1 to 64"),
    ],
)
def test_bad_replicas_say_what_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(FleetError, match=complaint):
        parse_replicas(text)


def test_a_group_needs_a_scheduler_and_an_executor() -> None:
    with pytest.raises(FleetError, match="2 groups need as many"):
        fleet("scheduler=2", groups=2)


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:80"), ("::", "http://[::1]:80"), ("localhost", "http://localhost:80")],
)
def test_the_url_is_one_that_a_client_can_use(host: str, url: str) -> None:
    assert Fleet((), host, 80, "m", "m", 1, ExecutorSettings()).url == url
