"""Embeddings, scores and ranks on the wire. In the pipeline here a prompt becomes an angle: 10 degrees a character."""

import base64
import math
from typing import Any

import httpx
import openai
import pytest

from tests.patience import PATIENCE_S
from xylem.shared.protocol import Embedded, FinishReason, Generate, Logprobs, TextDeltas, TokenLogprobs
from xylem.shared.protocol.columns import count, pack, pack_floats, unpack, unpack_floats

EMBEDDINGS, SCORE, RERANK = "/v1/embeddings", "/v1/score", "/v1/rerank"


def vector(length: int) -> list[float]:
    angle = math.radians(10 * length)
    return [math.cos(angle), math.sin(angle), 0.0]


@pytest.fixture
def embedding(pipeline: Any) -> Any:
    async def play(g: Generate) -> None:
        await pipeline.accept(g)
        length = len(g.prompt) if g.prompt is not None else count(g.token_ids or b"")
        # The row that ends the sequence may overtake the vector: nothing is over before that is here.
        await pipeline.text(g, 0, [1], "", FinishReason.STOP)
        await pipeline.say(Embedded(g.request_id, g.attempt, pack_floats(vector(length)), length, 1))

    pipeline.play = play
    return pipeline


async def test_inputs_of_all_kinds(http: httpx.AsyncClient, embedding: Any) -> None:
    for given, lengths in (("abc", [3]), (["a", "bb"], [1, 2]), ([7, 8], [2]), ([[7], [7, 8, 9]], [1, 3])):
        answer = (await http.post(EMBEDDINGS, json={"input": given, "model": "tiny", "user": "u"})).json()
        assert answer["object"] == "list"
        assert answer["model"] == "tiny"
        assert [(each["index"], each["object"]) for each in answer["data"]] == [
            (i, "embedding") for i in range(len(lengths))
        ]
        for each, length in zip(answer["data"], lengths, strict=True):
            assert each["embedding"] == pytest.approx(vector(length), abs=1e-6)
        assert answer["usage"] == {"prompt_tokens": sum(lengths), "total_tokens": sum(lengths)}
    assert {g.params.pooling for g in embedding.generates} == {"last"}
    await http.post(EMBEDDINGS, json={"input": "x", "pooling": "mean"})
    assert embedding.generates[-1].params.pooling == "mean"


async def test_base64_and_dimensions(http: httpx.AsyncClient, embedding: Any) -> None:
    body = {"input": "abc", "encoding_format": "base64"}
    answer = (await http.post(EMBEDDINGS, json=body)).json()
    assert unpack_floats(base64.b64decode(answer["data"][0]["embedding"])).tolist() == pytest.approx(
        vector(3), abs=1e-6
    )
    answer = (await http.post(EMBEDDINGS, json={"input": "abc", "dimensions": 1})).json()
    assert answer["data"][0]["embedding"] == [1.0]
    refused = await http.post(EMBEDDINGS, json={"input": "abc", "dimensions": 4})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "dimensions"


async def test_the_client_of_openai(http: httpx.AsyncClient, embedding: Any) -> None:
    client = openai.AsyncOpenAI(base_url=f"{http.base_url}/v1", api_key="none", max_retries=0)
    async with client:
        answer = await client.embeddings.create(model="tiny", input=["a", "bb"])  # asks for base64 by itself
    assert answer.data[1].embedding == pytest.approx(vector(2), abs=1e-6)
    assert answer.usage.prompt_tokens == 3


async def test_pairs(http: httpx.AsyncClient, embedding: Any) -> None:
    answer = (await http.post(SCORE, json={"text_1": "a", "text_2": ["b", "cccc"]})).json()
    assert answer["object"] == "list"
    scores = [each["score"] for each in answer["data"]]
    assert scores == pytest.approx([1.0, math.cos(math.radians(30))], abs=1e-6)
    assert answer["usage"]["prompt_tokens"] == 6
    answer = (await http.post("/score", json={"text_1": ["a", "aaaaaaaaaa"], "text_2": ["b", "c"]})).json()
    assert [each["score"] for each in answer["data"]] == pytest.approx([1.0, 0.0], abs=1e-6)


async def test_rank(http: httpx.AsyncClient, embedding: Any) -> None:
    body = {"query": "aaa", "documents": ["aaaaaaa", "bbb", {"text": "c"}]}
    answer = (await http.post(RERANK, json=body)).json()
    assert [each["index"] for each in answer["results"]] == [1, 2, 0]
    assert answer["results"][1]["document"] == {"text": "c"}
    scores = [each["relevance_score"] for each in answer["results"]]
    assert scores == pytest.approx([math.cos(math.radians(degrees)) for degrees in (0, 20, 40)], abs=1e-6)
    assert answer["usage"]["total_tokens"] == 14
    answer = (await http.post("/rerank", json={**body, "top_n": 1, "return_documents": False})).json()
    assert [sorted(each) for each in answer["results"]] == [["index", "relevance_score"]]


async def test_labels(http: httpx.AsyncClient, pipeline: Any) -> None:
    async def play(g: Generate) -> None:
        await pipeline.accept(g)
        assert g.params.logprobs is not None
        labels = unpack(g.params.logprobs.token_ids)
        scores = Logprobs(pack_floats([-0.1]), asked_logprobs=pack_floats(math.log(i / 100) for i in labels))
        await pipeline.say(
            TextDeltas(
                detokenizer="detokenizer-0",
                request_ids=(g.request_id,),
                attempts=pack([g.attempt]),
                offsets=pack([0]),
                counts=pack([1]),
                token_ids=pack([5]),
                texts=("w",),
                finishes=pack([FinishReason.LENGTH]),
                num_prompt_tokens=pack([4]),
                num_cached_tokens=pack([0]),
                scored=((0, TokenLogprobs(scores, pack([5]), (b"w",), pack([1]), asked_tokens=(b"x",) * len(labels))),),
            )
        )

    pipeline.play = play
    body = {"query": "Is it? ", "items": ["yes", "no"], "label_token_ids": [10, 30]}
    answer = (await http.post(SCORE, json=body)).json()
    assert (answer["object"], answer["model"]) == ("scoring", "tiny")
    assert answer["scores"] == [pytest.approx([0.1, 0.3])] * 2
    assert answer["usage"] == {"prompt_tokens": 8, "total_tokens": 8}
    assert sorted(str(g.prompt) for g in pipeline.generates) == ["Is it? no", "Is it? yes"]
    answer = (await http.post(SCORE, json={**body, "apply_softmax": True, "item_first": True})).json()
    assert answer["scores"] == [pytest.approx([0.25, 0.75])] * 2
    assert sorted(str(g.prompt) for g in pipeline.generates[2:]) == ["noIs it? ", "yesIs it? "]
    ids = {"query": [1, 2], "items": [[3], [4]], "label_token_ids": [10]}
    assert (await http.post(SCORE, json=ids)).status_code == 200
    assert sorted(g.token_ids for g in pipeline.generates[4:]) == [pack([1, 2, 3]), pack([1, 2, 4])]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (EMBEDDINGS, {}, "input"),
        (EMBEDDINGS, {"input": []}, "input"),
        (EMBEDDINGS, {"input": ""}, "input"),
        (EMBEDDINGS, {"input": ["a", 1]}, "input"),
        (EMBEDDINGS, {"input": [1] * 257}, "input"),
        (EMBEDDINGS, {"input": "x", "encoding_format": "int8"}, "encoding_format"),
        (EMBEDDINGS, {"input": "x", "dimensions": 0}, "dimensions"),
        (EMBEDDINGS, {"input": "x", "pooling": "max"}, "pooling"),
        (EMBEDDINGS, {"input": "x", "temperature": 1}, "temperature"),
        (SCORE, {}, "text_1"),
        (SCORE, {"text_1": "x"}, "text_2"),
        (SCORE, {"text_1": ["x", "y"], "text_2": "z"}, "text_1"),
        (SCORE, {"text_1": "x", "query": "y"}, "query"),
        (SCORE, {"items": ["x"], "label_token_ids": [1]}, "query"),
        (SCORE, {"query": "x", "items": ["y"]}, "label_token_ids"),
        (SCORE, {"query": "x", "items": [[1]], "label_token_ids": [1]}, "items"),
        (SCORE, {"query": ["x", "y"], "items": "z", "label_token_ids": [1]}, "query"),
        (SCORE, {"query": "x", "items": "z", "label_token_ids": [512]}, "label_token_ids"),
        (RERANK, {"documents": ["x"]}, "query"),
        (RERANK, {"query": "x", "documents": []}, "documents"),
        (RERANK, {"query": "x", "documents": ["y", {"body": "z"}]}, "documents[1]"),
        (RERANK, {"query": "x", "documents": ["y"], "top_n": -1}, "top_n"),
    ],
)
async def test_faults_are_named(
    http: httpx.AsyncClient, pipeline: Any, path: str, body: dict[str, Any], param: str
) -> None:
    response = await http.post(path, json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param
    assert pipeline.generates == []


async def test_a_batch_has_a_bound(serving: Any, pipeline: Any) -> None:
    async with (
        serving(max_open_requests=4) as gateway,
        httpx.AsyncClient(base_url=gateway.server.url, timeout=PATIENCE_S) as http,
    ):
        for path, body, param in (
            (EMBEDDINGS, {"input": ["x"] * 5}, "input"),
            (SCORE, {"text_1": "x", "text_2": ["y"] * 4}, "text_2"),
            (SCORE, {"query": "x", "items": ["y"] * 5, "label_token_ids": [1]}, "items"),
            (RERANK, {"query": "x", "documents": ["y"] * 4}, "documents"),
        ):
            response = await http.post(path, json=body)
            assert response.status_code == 400
            assert response.json()["error"]["param"] == param
    assert pipeline.generates == []
