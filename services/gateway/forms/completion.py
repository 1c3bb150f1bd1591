"""text_completion, whole and in chunks."""

import msgspec

from services.gateway.forms.base import REASONS, ChunkUsage, Head, Usage
from services.gateway.mailbox import Piece
from shared.messages import Finish


class CompletionChoice(msgspec.Struct, frozen=True, gc=False):
    index: int
    text: str
    finish_reason: str | None = None
    logprobs: None = None


class Completion(msgspec.Struct, frozen=True, gc=False):
    id: str
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: ChunkUsage = msgspec.UNSET
    object: str = "text_completion"


class CompletionForm:
    """Of /v1/completions. `echoes`: by choice, what comes before its text."""

    def __init__(self, head: Head, echoes: list[str]) -> None:
        self._head = head
        self._echoes = echoes
        self._begun: set[int] = set()

    def chunks(self, piece: Piece, usage: ChunkUsage) -> list[msgspec.Struct]:
        text = piece.text
        if piece.index not in self._begun:
            self._begun.add(piece.index)
            text = self._echo(piece.index) + text
        chunks: list[msgspec.Struct] = []
        if text:
            chunks.append(self._completion([CompletionChoice(piece.index, text)], usage))
        if piece.finish:
            chunks.append(self._completion([CompletionChoice(piece.index, "", REASONS[piece.finish])], usage))
        return chunks

    def usage_chunk(self, usage: Usage) -> msgspec.Struct:
        return self._completion([], usage)

    def whole(self, texts: list[str], finishes: list[Finish], usage: Usage) -> msgspec.Struct:
        choices = [
            CompletionChoice(index, self._echo(index) + text, REASONS[finish])
            for index, (text, finish) in enumerate(zip(texts, finishes, strict=True))
        ]
        return self._completion(choices, usage)

    def _echo(self, index: int) -> str:
        return self._echoes[index] if self._echoes else ""

    def _completion(self, choices: list[CompletionChoice], usage: ChunkUsage) -> Completion:
        head = self._head
        return Completion(id=head.id, created=head.created, model=head.model, choices=choices, usage=usage)
