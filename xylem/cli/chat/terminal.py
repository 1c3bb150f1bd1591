"""The conversation itself: reads questions, prints answers, keeps what was said."""

import contextlib
import sys
from collections.abc import Generator
from typing import TextIO

from xylem.client.chat import ChatClient, ChatError, Messages

HELP = "/reset forgets the conversation, /quit ends; Ctrl-C stops an answer, Ctrl-D ends"
FAILED = 1


class Conversation:
    """The messages so far. A question without an answer is not kept: the next one would be read as its second half."""

    def __init__(self, client: ChatClient, *, system: str = "") -> None:
        self._client = client
        self._opening: Messages = [{"role": "system", "content": system}] if system else []
        self.messages: Messages = list(self._opening)

    def reset(self) -> None:
        """Forgets all but the system message."""
        self.messages = list(self._opening)

    def ask(self, question: str) -> Generator[str, None, None]:
        """The answer in pieces. Raises ChatError. What has arrived of an interrupted answer is kept."""
        asked = [*self.messages, {"role": "user", "content": question}]
        said: list[str] = []
        try:
            for piece in self._client.answer(asked):
                said.append(piece)
                yield piece
        finally:
            if said:
                self.messages = [*asked, {"role": "assistant", "content": "".join(said)}]


def converse(client: ChatClient, *, system: str = "", source: TextIO | None = None, out: TextIO | None = None) -> int:
    """Talks until the input ends; returns the exit code: 1 when there is no server, or a piped question failed."""
    source, out = source or sys.stdin, out or sys.stdout
    conversation = Conversation(client, system=system)
    try:
        name = client.model
    except ChatError as error:
        return _fail(error)
    if not (source.isatty() and out.isatty()):
        return _piped(conversation, source, out)
    out.write(f"{name} at {client.url}; {HELP}\n")
    return _at_terminal(conversation, out)


def _piped(conversation: Conversation, source: TextIO, out: TextIO) -> int:
    for line in source:
        question = line.strip()
        if question == "/quit":
            break
        if question == "/reset":
            conversation.reset()
        elif question:
            try:
                for piece in conversation.ask(question):
                    out.write(piece)
                    out.flush()
            except ChatError as error:
                out.write("\n")
                return _fail(error)
            out.write("\n")
            out.flush()
    return 0


def _at_terminal(conversation: Conversation, out: TextIO) -> int:
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  input() then edits lines and remembers them
    while True:
        try:
            question = input("> ").strip()
        except KeyboardInterrupt:
            out.write("\n")  # a line given up
            continue
        except EOFError:
            out.write("\n")
            return 0
        if question == "/quit":
            return 0
        if question == "/reset":
            conversation.reset()
            out.write("(forgotten)\n")
        elif question.startswith("/"):
            out.write(f"{HELP}\n")
        elif question:
            _show(conversation.ask(question), out)


def _show(pieces: Generator[str, None, None], out: TextIO) -> None:
    try:
        # Closed at once when the person has heard enough: the server then stops generating.
        with contextlib.closing(pieces):
            for piece in pieces:
                out.write(piece)
                out.flush()
    except KeyboardInterrupt:
        out.write(" (stopped)")
    except ChatError as error:
        _fail(error)
        return
    out.write("\n")


def _fail(error: ChatError) -> int:
    sys.stderr.write(f"xylem chat: {error}\n")
    return FAILED
