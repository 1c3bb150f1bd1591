from typer.testing import CliRunner

from xylem.cli.app import app
from xylem.shared.runtime.settings import known_names

run = CliRunner().invoke


def test_every_setting_is_a_flag() -> None:
    shown = run(app, ["serve", "--help"], env={"COLUMNS": "200"}).output
    for name in known_names():
        assert "--" + name.replace("_", "-") in shown, name


def test_an_unknown_flag_suggests_the_nearest() -> None:
    result = run(app, ["serve", "--page-siz", "4"])
    assert result.exit_code == 2
    assert "--page-size" in result.output


def test_a_bad_value_names_the_setting() -> None:
    result = run(app, ["serve", "--page-size", "0"])
    assert result.exit_code == 2
    assert "page_size" in result.output
    result = run(app, ["serve", "--dtype", "float17"])
    assert result.exit_code == 2
    assert "float32" in result.output


def test_an_unknown_variable_is_an_error_with_a_suggestion() -> None:
    result = run(app, ["serve"], env={"XYLEM_PAGE_SIZ": "4"})
    assert result.exit_code == 2
    assert "did you mean XYLEM_PAGE_SIZE" in result.output


def test_version_and_unknown_commands() -> None:
    assert run(app, ["version"]).exit_code == 0
    assert "serve" in run(app, ["serv"]).output
