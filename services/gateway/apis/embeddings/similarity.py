"""Texts compared by their vectors: pairs of them in vLLM's /v1/score, a query with documents in /v1/rerank."""

import msgspec

from xylem.services.gateway.apis.embeddings.numbers import similarity
from xylem.services.gateway.apis.embeddings.response import PromptUsage
from xylem.services.gateway.generation.choice_output import ChoiceOutput
from xylem.services.gateway.http.response_writer import Head, Usage, WholeOnly
from xylem.shared.protocol.columns import unpack_floats


class PairScore(msgspec.Struct, frozen=True, gc=False):
    index: int
    score: float
    object: str = "score"


class PairScores(msgspec.Struct, frozen=True, gc=False):
    id: str
    created: int
    model: str
    data: list[PairScore]
    usage: PromptUsage
    object: str = "list"


class PairScoreWriter(WholeOnly):
    """The vectors are those of the first num_first texts, then of the others. A single first one goes with each."""

    def __init__(self, head: Head, num_first: int) -> None:
        self._head = head
        self._num_first = num_first

    def build_response(self, results: list[ChoiceOutput], usage: Usage) -> PairScores:
        vectors = [unpack_floats(result.vector) for result in results]
        first, second = vectors[: self._num_first], vectors[self._num_first :]
        pairs = zip(first * len(second) if len(first) == 1 else first, second, strict=True)
        data = [PairScore(index, similarity(one, other)) for index, (one, other) in enumerate(pairs)]
        head = self._head
        return PairScores(head.id, head.created, head.model, data, PromptUsage.of(usage))


class Document(msgspec.Struct, frozen=True, gc=False):
    text: str


class RankedDocument(msgspec.Struct, frozen=True, gc=False):
    index: int
    relevance_score: float
    document: Document | msgspec.UnsetType = msgspec.UNSET


class Ranking(msgspec.Struct, frozen=True, gc=False):
    id: str
    model: str
    usage: PromptUsage
    results: list[RankedDocument]


class RankingWriter(WholeOnly):
    """The first vector is the query's. num_best 0: all of them."""

    def __init__(self, head: Head, documents: list[str], *, num_best: int, with_documents: bool) -> None:
        self._head = head
        self._documents = documents
        self._num_best = num_best
        self._with_documents = with_documents

    def build_response(self, results: list[ChoiceOutput], usage: Usage) -> Ranking:
        """The likest first; of equal ones, in the order in which they were given."""
        query, *vectors = [unpack_floats(result.vector) for result in results]
        scores = [similarity(query, vector) for vector in vectors]
        ranked = sorted(range(len(scores)), key=lambda index: -scores[index])[: self._num_best or None]
        shown = [self._ranked(index, scores[index]) for index in ranked]
        return Ranking(self._head.id, self._head.model, PromptUsage.of(usage), shown)

    def _ranked(self, index: int, score: float) -> RankedDocument:
        document = Document(self._documents[index]) if self._with_documents else msgspec.UNSET
        return RankedDocument(index, score, document)
