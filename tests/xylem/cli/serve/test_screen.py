import io

from rich.console import Console

from xylem.cli.serve.screen import LiveScreen, PlainScreen


def test_plain_lines_are_prefixed_and_go_to_standard_error() -> None:
    out, err = io.StringIO(), io.StringIO()
    screen = PlainScreen(11, out, err)
    screen.line("router-0", "hello [bold]you[/bold]")
    screen.state("tokenizer-0", "restarting", "killed by signal 9")
    screen.progress("router-0", "10%")
    screen.say("ready")
    assert err.getvalue() == "router-0    | hello [bold]you[/bold]\ntokenizer-0 | [restarting] killed by signal 9\n"
    assert out.getvalue() == "ready\n"


def test_the_table_shows_states_while_starting_and_lines_afterwards() -> None:
    written = io.StringIO()
    screen = LiveScreen(["router-0", "executor-0"], Console(file=written, force_terminal=True, width=100))
    screen.state("executor-0", "starting", "")
    screen.progress("executor-0", "loading 25%")
    screen.line("router-0", "said [this]")
    screen.settle()
    shown = written.getvalue()
    assert "loading 25%" in shown
    assert "waiting" in shown
    assert "said [this]" in shown
    written.truncate(0)
    screen.state("router-0", "restarting", "killed by signal 9; starts again now")
    screen.say("http://127.0.0.1:8000")
    assert "restarting: killed by signal 9" in written.getvalue()
    assert "http://127.0.0.1:8000" in written.getvalue()
    screen.settle()
