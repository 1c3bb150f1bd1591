from xylem.services.router.least_loaded import LeastLoaded
from xylem.services.router.policy import RouterPolicy
from xylem.shared.protocol import Presence, Tokenized

REQUEST = Tokenized(request_id="r", attempt=0, gateway="g", detokenizer="d", prompt_ids=b"")


def scheduler(name: str, waiting: int = 0, running: int = 0) -> Presence:
    return Presence(kind="scheduler", id=name, epoch=1, model="m", waiting=waiting, running=running)


def test_the_least_loaded_is_first() -> None:
    schedulers = [scheduler("a", 2, 3), scheduler("b", 0, 4), scheduler("c", 9, 0)]
    assert LeastLoaded(RouterPolicy()).select_schedulers(REQUEST, schedulers) == ["b", "a", "c"]
    assert LeastLoaded(RouterPolicy()).select_schedulers(REQUEST, []) == []


def test_a_burst_between_two_heartbeats_is_spread() -> None:
    policy, schedulers = LeastLoaded(RouterPolicy()), [scheduler("a"), scheduler("b"), scheduler("c", 1)]
    firsts = [policy.select_schedulers(REQUEST, schedulers)[0] for _ in range(7)]
    assert {name: firsts.count(name) for name in "abc"} == {"a": 3, "b": 3, "c": 1}


def test_a_heartbeat_replaces_what_was_counted() -> None:
    policy, a, b = LeastLoaded(RouterPolicy()), scheduler("a"), scheduler("b", 1)
    assert policy.select_schedulers(REQUEST, [a, b])[0] == "a"
    assert policy.select_schedulers(REQUEST, [a, b])[0] == "a"
    assert policy.select_schedulers(REQUEST, [a, b])[0] == "b"
    assert policy.select_schedulers(REQUEST, [scheduler("a"), b])[0] == "a"
