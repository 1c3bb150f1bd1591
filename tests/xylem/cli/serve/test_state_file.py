import json
from pathlib import Path

from xylem.cli.serve.state_file import StateFile


def test_it_says_what_runs_and_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    state = StateFile(path, url="http://here", nats_url="nats://there", model="m")
    state.update(pids={"router-0": 12}, ready=True)
    assert json.loads(path.read_text())["pids"] == {"router-0": 12}
    assert json.loads(path.read_text())["url"] == "http://here"
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]
    state.remove()
    assert not path.exists()
    state.remove()


def test_without_a_path_it_does_nothing() -> None:
    state = StateFile(None, url="", nats_url="", model="")
    state.update(pids={}, ready=False)
    state.remove()
