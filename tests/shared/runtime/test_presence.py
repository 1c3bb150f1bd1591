"""Peers of another protocol are refused by name."""

import logging

import pytest

from xylem.shared.protocol import PROTOCOL_VERSION, Presence
from xylem.shared.runtime.presence import Directory

OTHER = PROTOCOL_VERSION - 1


class Heard:
    """A directory, and what it tells: (id, alive)."""

    def __init__(self) -> None:
        self.directory = Directory("m", heartbeat_s=0.1)
        self.changes: list[tuple[str, bool]] = []
        self.beats: list[str] = []
        self.directory.on_change(lambda presence, alive: self.changes.append((presence.id, alive)))
        self.directory.on_beat(lambda presence: self.beats.append(presence.id))

    async def hear(self, state: str = "ready", *, version: int = PROTOCOL_VERSION, epoch: int = 1) -> None:
        await self.directory._on_presence(Presence("executor", "executor-3", epoch, "m", state, version=version))


@pytest.fixture
def heard() -> Heard:
    return Heard()


async def test_a_peer_of_another_protocol_never_counts_and_is_named_once(
    heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            await heard.hear(version=OTHER)
    assert heard.directory.live("executor") == heard.directory.known() == []
    assert heard.directory.find("executor", "executor-3") is None
    assert (heard.changes, heard.beats) == ([], [])
    sentence = f"executor executor-3 speaks protocol {OTHER}, this is {PROTOCOL_VERSION}"
    assert heard.directory.refused() == [sentence]
    (record,) = caplog.records
    assert sentence in record.getMessage()


async def test_one_that_is_replaced_by_another_build_has_left_and_comes_back_with_the_next(heard: Heard) -> None:
    await heard.hear()
    await heard.hear(version=OTHER, epoch=2)
    assert heard.changes == [("executor-3", True), ("executor-3", False)]
    assert heard.directory.live("executor") == []
    await heard.hear(epoch=3)
    assert heard.changes[2:] == [("executor-3", True)]
    assert heard.directory.refused() == []


@pytest.mark.parametrize("epoch", [0, 1])
async def test_a_refused_one_is_forgotten_with_its_bye_or_its_silence(heard: Heard, epoch: int) -> None:
    await heard.hear(version=OTHER)
    await heard.hear("bye", version=OTHER, epoch=epoch)
    assert heard.directory.refused() == []
    await heard.hear(version=OTHER)
    heard.directory.expire(float("inf"))
    assert heard.directory.refused() == []
    assert heard.changes == []
