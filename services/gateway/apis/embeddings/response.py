"""This module writes the answers of /v1/embeddings."""

import base64

import msgspec

from xylem.services.gateway.apis.embeddings.numbers import shortened
from xylem.services.gateway.generation.choice_output import ChoiceOutput
from xylem.services.gateway.http.response_writer import Head, Usage, WholeOnly
from xylem.shared.protocol.columns import count, unpack_floats
from xylem.shared.runtime.errors import InvalidRequest


class PromptUsage(msgspec.Struct, frozen=True, gc=False):
    """Tokens of a request that generates none."""

    prompt_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, usage: Usage) -> "PromptUsage":
        return cls(usage.prompt_tokens, usage.prompt_tokens)


class Embedding(msgspec.Struct, frozen=True, gc=False):
    index: int
    embedding: list[float] | str
    object: str = "embedding"


class Embeddings(msgspec.Struct, frozen=True, gc=False):
    model: str
    data: list[Embedding]
    usage: PromptUsage
    object: str = "list"


class EmbeddingResponseWriter(WholeOnly):
    """dimensions: how many numbers of each vector are wanted; None is all."""

    def __init__(self, head: Head, *, as_base64: bool, dimensions: int | None) -> None:
        self._head = head
        self._as_base64 = as_base64
        self._dimensions = dimensions

    def build_response(self, results: list[ChoiceOutput], usage: Usage) -> Embeddings:
        """Raises InvalidRequest when more dimensions are wanted than there are."""
        data = [Embedding(index, self._shown(result.vector)) for index, result in enumerate(results)]
        return Embeddings(self._head.model, data, PromptUsage.of(usage))

    def _shown(self, vector: bytes) -> list[float] | str:
        wanted, there = self._dimensions, count(vector)
        if wanted is not None and wanted > there:
            raise InvalidRequest(f"dimensions is {wanted}; the model's vectors have {there}", param="dimensions")
        if wanted is not None and wanted < there:
            vector = shortened(vector, wanted)
        return base64.b64encode(vector).decode() if self._as_base64 else unpack_floats(vector).tolist()
