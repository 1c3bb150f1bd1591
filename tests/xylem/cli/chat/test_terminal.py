import io
import os
import pty
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.xylem.chat_server import Gateway, client
from xylem.cli.chat.terminal import Conversation, converse
from xylem.client.chat import ChatClient, ChatError

ROOT = Path(__file__).resolve().parents[4]


def test_a_pipe_gets_one_answer_a_line() -> None:
    gateway, out = Gateway(), io.StringIO()
    questions = io.StringIO("hello\n\nagain\n/reset\nafresh\n/quit\nnever asked\n")
    with client(gateway) as it:
        assert converse(it, system="Be kind.", source=questions, out=out) == 0
    assert out.getvalue() == "2: hello\n4: again\n2: afresh\n"
    assert gateway.bodies[1]["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "2: hello"},
        {"role": "user", "content": "again"},
    ]


def test_without_a_server_the_exit_code_is_not_zero(capsys: pytest.CaptureFixture[str]) -> None:
    with ChatClient("http://127.0.0.1:1") as it:
        assert converse(it, source=io.StringIO("hello\n"), out=io.StringIO()) == 1
    assert "xylem chat: no server at http://127.0.0.1:1" in capsys.readouterr().err


def test_a_question_that_failed_is_not_part_of_the_conversation() -> None:
    talk = Conversation(ChatClient("http://127.0.0.1:1", model="tiny"))
    with pytest.raises(ChatError):
        list(talk.ask("hello"))
    assert talk.messages == []


def test_what_was_said_before_a_stop_is_kept() -> None:
    with client(Gateway()) as it:
        talk = Conversation(it)
        answer = talk.ask("hello")
        assert next(answer) == "1"
        answer.close()
        assert talk.messages[-1] == {"role": "assistant", "content": "1"}


class Slow(BaseHTTPRequestHandler):
    """Says two words, and then nothing until the client has left."""

    protocol_version = "HTTP/1.1"
    left = threading.Event()

    def do_GET(self) -> None:
        self._send(b'{"data": [{"id": "tiny"}]}')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(b'data: {"choices": [{"delta": {"content": "two words"}}]}\n\n')
        self.rfile.read()  # returns when the client closes
        self.left.set()

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def slow_server() -> Iterator[str]:
    Slow.left.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


class Person:
    """The other end of a terminal: types, and reads on until something shows."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._unread = ""

    def types(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def sees(self, text: str, insist: Callable[[], None] = lambda: None) -> None:
        """Waits for a text. `insist` is done at once, and again for each second without it."""
        insist()
        for _ in range(20):
            while text not in self._unread and select.select([self._descriptor], [], [], 1)[0]:
                self._unread += os.read(self._descriptor, 4096).decode()
            if text in self._unread:
                self._unread = self._unread.split(text, 1)[1]
                return
            insist()
        raise AssertionError(f"no {text!r} in {self._unread!r}")


def test_at_a_terminal_ctrl_c_stops_the_answer_and_ctrl_d_ends() -> None:
    outer, terminal = pty.openpty()
    person = Person(outer)
    with slow_server() as url:
        process = subprocess.Popen(
            [sys.executable, "-m", "xylem", "chat", "--url", url],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            cwd=ROOT,
            start_new_session=True,
            # A shell starts what it runs in the background with Ctrl-C ignored, and that would be inherited from us.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            person.sees("> ")
            person.types("hello\n")
            person.sees("two words")
            # A signal that comes in the instant before a blocking read is noticed only after it: no program written in
            # Python can help that, and a person presses Ctrl-C again.
            person.sees("(stopped)", insist=lambda: process.send_signal(signal.SIGINT))
            assert Slow.left.wait(10), "the server was left generating"
            person.sees("> ")
            person.types("/what\n")
            person.sees("/reset forgets")
            person.sees("> ")  # before the prompt the terminal is in line mode, where ctrl-d would end an empty line
            person.types("\x04")
            assert process.wait(10) == 0
        finally:
            process.kill()
            process.wait()
            os.close(outer)
            os.close(terminal)
