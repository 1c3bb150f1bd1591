import subprocess
import sys
from pathlib import Path

import pytest

from xylem.shared.runtime.settings import (
    ALL,
    ExecutorSettings,
    GatewaySettings,
    Settings,
    SettingsError,
    known_names,
    load,
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in known_names():
        monkeypatch.delenv(f"XYLEM_{name.upper()}", raising=False)


def test_defaults_environment_and_flags_in_that_order(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(GatewaySettings).port == 8000
    monkeypatch.setenv("XYLEM_PORT", "9000")
    assert load(GatewaySettings).port == 9000
    assert load(GatewaySettings, ["--port", "9001"]).port == 9001
    assert load(GatewaySettings, ["--port=9002"]).port == 9002


@pytest.mark.parametrize("flag", ["--page-size", "--page_size"])
def test_flags_take_dash_and_underscore(flag: str) -> None:
    assert load(ExecutorSettings, [flag, "8"]).page_size == 8


def test_unknown_flag_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match=r"--page-sise.*did you mean --page-size"):
        load(ExecutorSettings, ["--page-sise", "8"])


def test_unknown_variable_names_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XYLEM_PAGESIZE", "8")
    with pytest.raises(SettingsError, match=r"XYLEM_PAGESIZE.*did you mean XYLEM_PAGE_SIZE"):
        load(ExecutorSettings)


def test_a_variable_of_another_service_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XYLEM_PAGE_SIZE", "8")
    assert load(GatewaySettings).port == 8000


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [(["--page-size", "x"], "page_size"), (["--page-size", "0"], "page_size"), (["--page-size"], "needs a value")],
)
def test_bad_values_are_named(arguments: list[str], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        load(ExecutorSettings, arguments)


@pytest.mark.parametrize("kind", ALL)
def test_one_name_means_one_thing(kind: type[Settings]) -> None:
    for other in ALL:
        for name in kind.model_fields.keys() & other.model_fields.keys():
            assert kind.model_fields[name].annotation == other.model_fields[name].annotation
            assert kind.model_fields[name].description


def test_names_of_model_and_instance() -> None:
    settings = load(GatewaySettings, ["--model", "/models/My Model 1.5/", "--id", "Host.1"])
    assert (settings.model_name, settings.model_slug, settings.instance) == ("My Model 1.5", "my-model-1-5", "host-1")


def test_a_process_with_bad_settings_says_so_and_exits_with_2() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "xylem.services.router", "--nonsense", "1"], capture_output=True, text=True
    )
    assert result.returncode == 2
    assert "--nonsense" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_url_of_nats_may_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "nats-url"
    path.write_text("tls://router:secret@nats:4222\n")
    monkeypatch.setenv("XYLEM_NATS_URL", "nats://elsewhere")
    monkeypatch.setenv("XYLEM_NATS_URL_FILE", str(path))
    assert load(GatewaySettings).nats_url == "tls://router:secret@nats:4222"
    assert load(GatewaySettings, ["--nats-url-file="]).nats_url == "nats://elsewhere"
    with pytest.raises(SettingsError, match="nats_url_file: /nowhere can't be read"):
        load(GatewaySettings, ["--nats-url-file", "/nowhere"])
