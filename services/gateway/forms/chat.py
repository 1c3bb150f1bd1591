"""chat.completion and chat.completion.chunk."""

import msgspec

from services.gateway.forms.base import REASONS, ChunkUsage, Head, Usage
from services.gateway.mailbox import Piece
from shared.messages import Finish


class Delta(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    role: str | None = None
    content: str | None = None


class ChunkChoice(msgspec.Struct, frozen=True, gc=False):
    index: int
    delta: Delta
    logprobs: None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct, frozen=True, gc=False):
    id: str
    created: int
    model: str
    choices: tuple[ChunkChoice, ...]
    usage: ChunkUsage = msgspec.UNSET
    object: str = "chat.completion.chunk"


class AnswerMessage(msgspec.Struct, frozen=True, gc=False):
    content: str
    role: str = "assistant"
    refusal: None = None


class AnswerChoice(msgspec.Struct, frozen=True, gc=False):
    index: int
    message: AnswerMessage
    finish_reason: str
    logprobs: None = None


class Answer(msgspec.Struct, frozen=True, gc=False):
    id: str
    created: int
    model: str
    choices: list[AnswerChoice]
    usage: Usage
    object: str = "chat.completion"


class ChatForm:
    """Of /v1/chat/completions."""

    def __init__(self, head: Head) -> None:
        self._head = head
        self._begun: set[int] = set()

    def chunks(self, piece: Piece, usage: ChunkUsage) -> list[msgspec.Struct]:
        chunks: list[msgspec.Struct] = []
        if piece.index not in self._begun:
            self._begun.add(piece.index)
            chunks.append(self._chunk(piece.index, Delta(role="assistant", content=""), None, usage))
        if piece.text:
            chunks.append(self._chunk(piece.index, Delta(content=piece.text), None, usage))
        if piece.finish:
            chunks.append(self._chunk(piece.index, Delta(), REASONS[piece.finish], usage))
        return chunks

    def _chunk(self, index: int, delta: Delta, reason: str | None, usage: ChunkUsage) -> Chunk:
        choice = ChunkChoice(index=index, delta=delta, finish_reason=reason)
        head = self._head
        return Chunk(id=head.id, created=head.created, model=head.model, choices=(choice,), usage=usage)

    def usage_chunk(self, usage: Usage) -> msgspec.Struct:
        head = self._head
        return Chunk(id=head.id, created=head.created, model=head.model, choices=(), usage=usage)

    def whole(self, texts: list[str], finishes: list[Finish], usage: Usage) -> msgspec.Struct:
        choices = [
            AnswerChoice(index=index, message=AnswerMessage(text), finish_reason=REASONS[finish])
            for index, (text, finish) in enumerate(zip(texts, finishes, strict=True))
        ]
        head = self._head
        return Answer(id=head.id, created=head.created, model=head.model, choices=choices, usage=usage)
