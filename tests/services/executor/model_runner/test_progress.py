import io
import logging
import sys

import pytest

from xylem.services.executor.model_runner.progress import Bar, Lines, capturing_progress, loading_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_per_quarter(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with Lines("loading m") as progress:
        for done in range(0, 1001, 10):
            progress(done, 1000)
    assert [record.getMessage() for record in caplog.records] == [
        f"loading m: {percent} %" for percent in (0, 25, 50, 75, 100)
    ]


def test_a_model_without_weights_is_loaded_at_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    Lines("loading m")(0, 0)
    assert caplog.messages == ["loading m: 100 %"]


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    progress = loading_progress("m")
    assert isinstance(progress, Bar)
    with progress:
        progress(500, 1000)
    assert "loading m" in terminal.getvalue()
    with capturing_progress("m") as progress:
        progress(3, 70)
    assert "3/70" in terminal.getvalue()


def test_what_is_no_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(loading_progress("m"), Lines)
