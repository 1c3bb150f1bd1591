"""SGLang's /generate on the wire."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.patience import PATIENCE_S
from xylem.shared.protocol import FinishReason, Generate, Logprobs, TextDeltas, TokenLogprobs
from xylem.shared.protocol.columns import pack, pack_floats, unpack

PATH = "/generate"


def scored(ids: list[int], logprobs: list[float], *, start: int = 0, num_asked: int = 0) -> TokenLogprobs:
    """Tokens of three characters each, with two likeliest ones each."""
    n = len(ids)
    return TokenLogprobs(
        scores=Logprobs(
            logprobs=pack_floats(logprobs),
            top_ids=pack([7, 8] * n),
            top_logprobs=pack_floats([-0.5, -1.5] * n),
            asked_logprobs=pack_floats([-2.5] * n * num_asked),
        ),
        token_ids=pack(ids),
        tokens=tuple(f"t{i}".encode() for i in ids),
        ends=pack(start + 3 * (i + 1) for i in range(n)),
        top_tokens=(b"a", b"b") * n,
        asked_tokens=(b"q",) * num_asked,
        start=start,
    )


def playing(pipeline: Any) -> Any:
    """Every request gets two scored tokens, and the scores of its prompt's three."""

    async def play(g: Generate) -> None:
        await pipeline.accept(g)
        assert g.params.logprobs is not None
        num = min(2, g.params.stop_conditions.max_tokens)
        num_asked = len(unpack(g.params.logprobs.token_ids))
        prompt = scored([1, 2, 3], [float("nan"), -1.0, -2.0], num_asked=num_asked)
        await pipeline.say(
            TextDeltas(
                detokenizer="detokenizer-0",
                request_ids=(g.request_id,),
                attempts=pack([g.attempt]),
                offsets=pack([0]),
                counts=pack([num]),
                token_ids=pack([100, 101][:num]),
                texts=("w0 w1 "[: 3 * num],),
                finishes=pack([FinishReason.LENGTH]),
                num_prompt_tokens=pack([3]),
                num_cached_tokens=pack([0]),
                scored=((0, scored([100, 101][:num], [-0.25, -0.75][:num], num_asked=num_asked)),),
                prompt_scored=((0, prompt),) if g.params.logprobs.prompt_from == 0 else (),
            )
        )

    return play


def events(stream: str) -> list[dict[str, Any]]:
    assert stream.endswith("data: [DONE]\n\n")
    return [json.loads(part[6:]) for part in stream.split("\n\n")[:-2]]


async def test_one_prompt(http: httpx.AsyncClient, pipeline: Any) -> None:
    body = {"text": "Hi", "sampling_params": {"max_new_tokens": 3, "temperature": 0}, "rid": "mine"}
    answer = (await http.post(PATH, json=body)).json()
    meta = answer.pop("meta_info")
    assert answer == {"text": "w0 w1 w2 ", "output_ids": [100, 101, 102]}
    assert meta.pop("e2e_latency") > 0
    assert meta == {
        "id": "mine",
        "finish_reason": {"type": "length", "length": 3},
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "cached_tokens": 4,
    }
    assert (await http.put(PATH, json=body)).json()["text"] == "w0 w1 w2 "
    (sent, _) = pipeline.generates
    assert (sent.prompt, sent.params.sampling.temperature, sent.params.stop_conditions.max_tokens) == ("Hi", 0.0, 3)
    assert "mine" not in sent.request_id  # which must be unique


async def test_a_batch_with_parameters_of_its_own(http: httpx.AsyncClient, pipeline: Any) -> None:
    body = {
        "input_ids": [[1, 2], [3]],
        "sampling_params": [{"max_new_tokens": 1, "regex": "a+"}, {"max_new_tokens": 2, "n": 2, "sampling_seed": 5}],
        "rid": ["a", "b"],
    }
    answer = (await http.post(PATH, json=body)).json()
    assert [each["text"] for each in answer] == ["w0 ", "w0 w1 ", "w0 w1 "]
    assert [each["meta_info"]["id"] for each in answer] == ["a", "b-0", "b-1"]
    sent = sorted(pipeline.generates, key=lambda g: g.request_id)
    assert [g.token_ids for g in sent] == [pack([1, 2]), pack([3]), pack([3])]
    assert [g.params.sampling.seed for g in sent[1:]] == [5, 6]
    assert [g.params.grammar and g.params.grammar.text for g in sent] == ["a+", None, None]


async def test_a_list_of_one_is_a_batch(http: httpx.AsyncClient) -> None:
    for body in ({"text": ["x"]}, {"input_ids": [[1]]}):
        answer = (await http.post(PATH, json={**body, "sampling_params": {"max_new_tokens": 1}})).json()
        assert [each["text"] for each in answer] == ["w0 "]


async def test_events_have_all_so_far_or_what_is_new(http: httpx.AsyncClient, pipeline: Any) -> None:
    told = asyncio.Event()

    async def slowly(g: Generate) -> None:
        await pipeline.accept(g)
        await pipeline.words(g, 0, 2)
        await told.wait()
        await pipeline.words(g, 2, 4, FinishReason.STOP)

    pipeline.play = slowly
    for incremental in (False, True):
        told.clear()
        body = {"text": "x", "stream": True, "incremental_streaming_output": incremental}
        async with http.stream("POST", PATH, json=body) as response:
            text = ""
            async for part in response.aiter_text():
                text += part
                if "w1 " in text:
                    told.set()
        got = events(text)
        assert len(got) >= 2
        if incremental:
            assert "".join(each["text"] for each in got) == "w0 w1 w2 w3 "
            assert [i for each in got for i in each["output_ids"]] == [100, 101, 102, 103]
        else:
            assert got[-1]["text"] == "w0 w1 w2 w3 "
            assert got[-1]["output_ids"] == [100, 101, 102, 103]
            assert all(got[-1]["text"].startswith(each["text"]) for each in got)
        assert [each["meta_info"]["finish_reason"] for each in got[:-1]] == [None] * (len(got) - 1)
        assert got[-1]["meta_info"]["finish_reason"] == {"type": "stop", "matched": 103}
        assert got[-1]["meta_info"]["completion_tokens"] == 4
        assert "index" not in got[0]


async def test_events_of_a_batch_say_whose_they_are(http: httpx.AsyncClient) -> None:
    body = {"text": ["x", "y"], "stream": True, "sampling_params": {"max_new_tokens": 2}}
    got = events((await http.post(PATH, json=body)).text)
    last = {each["index"]: each for each in got}
    assert sorted(last) == [0, 1]
    assert all(each["text"] == "w0 w1 " for each in last.values())


async def test_log_probabilities(http: httpx.AsyncClient, pipeline: Any) -> None:
    pipeline.play = playing(pipeline)
    body = {
        "text": "x",
        "sampling_params": {"max_new_tokens": 2},
        "return_logprob": True,
        "logprob_start_len": 0,
        "top_logprobs_num": 2,
        "token_ids_logprob": [9],
    }
    meta = (await http.post(PATH, json=body)).json()["meta_info"]
    assert meta["input_token_logprobs"] == [[None, 1, None], [-1.0, 2, None], [-2.0, 3, None]]
    assert meta["output_token_logprobs"] == [[-0.25, 100, None], [-0.75, 101, None]]
    assert meta["input_top_logprobs"][:2] == [None, [[-0.5, 7, None], [-1.5, 8, None]]]
    assert meta["output_token_ids_logprobs"] == [[[-2.5, 9, None]]] * 2
    meta = (await http.post(PATH, json={**body, "return_text_in_logprobs": True})).json()["meta_info"]
    assert meta["output_token_logprobs"] == [[-0.25, 100, "t100"], [-0.75, 101, "t101"]]
    assert meta["output_top_logprobs"][0] == [[-0.5, 7, "a"], [-1.5, 8, "b"]]
    assert meta["input_token_ids_logprobs"][2] == [[-2.5, 9, "q"]]
    (sent, _) = pipeline.generates
    assert (sent.params.logprobs.num_top, sent.params.logprobs.prompt_from, sent.params.logprobs.token_ids) == (
        2,
        0,
        pack([9]),
    )
    stream = (await http.post(PATH, json={**body, "stream": True})).text
    assert events(stream)[-1]["meta_info"]["output_token_logprobs"][1] == [-0.75, 101, None]


async def test_nothing_is_generated(http: httpx.AsyncClient, pipeline: Any) -> None:
    """A token is drawn, for the executor can't do without; nobody sees it."""
    pipeline.play = playing(pipeline)
    body = {"text": "x", "sampling_params": {"max_new_tokens": 0}, "return_logprob": True, "logprob_start_len": 0}
    for answer in (
        (await http.post(PATH, json=body)).json(),
        events((await http.post(PATH, json={**body, "stream": True})).text)[-1],
    ):
        assert (answer["text"], answer["output_ids"]) == ("", [])
        meta = answer["meta_info"]
        assert len(meta["input_token_logprobs"]) == 3
        assert meta["output_token_logprobs"] == []
        assert meta["completion_tokens"] == 0
        assert meta["finish_reason"] == {"type": "length", "length": 0}
    assert all(g.params.stop_conditions.max_tokens == 1 for g in pipeline.generates)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "text"),
        ({"text": "x", "input_ids": [1]}, "text"),
        ({"text": []}, "text"),
        ({"text": ["x", 1]}, "text"),
        ({"input_ids": "x"}, "input_ids"),
        ({"input_ids": [[1], ["2"]]}, "input_ids[1]"),
        ({"input_ids": [[1], []]}, "input_ids"),
        ({"input_ids": [1] * 257}, "input_ids"),
        ({"text": "x", "sampling_params": []}, "sampling_params"),
        ({"text": "x", "sampling_params": 1}, "sampling_params"),
        ({"text": "x", "sampling_params": {"max_tokens": 1}}, "sampling_params.max_tokens"),
        ({"text": "x", "sampling_params": {"top_p": 0}}, "sampling_params.top_p"),
        ({"text": ["x", "y"], "sampling_params": [{}, {"n": 0}]}, "sampling_params[1].n"),
        ({"text": ["x", "y"], "sampling_params": [{}]}, "sampling_params"),
        ({"text": "x", "sampling_params": {"regex": "a", "ebnf": "b"}}, "sampling_params.ebnf"),
        ({"text": "x", "sampling_params": {"seed": 1, "sampling_seed": 2}}, "sampling_params.seed"),
        (
            {"text": "x", "sampling_params": {"min_new_tokens": 9, "max_new_tokens": 8}},
            "sampling_params.min_new_tokens",
        ),
        ({"text": "x", "sampling_params": {"logit_bias": {"512": 1}}}, "sampling_params.logit_bias"),
        ({"text": "x", "sampling_params": {"beam_width": 2}}, "sampling_params.beam_width"),
        ({"text": "x", "rid": ["a", "b"]}, "rid"),
        ({"text": "x", "return_logprob": 1}, "return_logprob"),
        ({"text": ["x", "y"], "return_logprob": [True]}, "return_logprob"),
        ({"text": "x", "token_ids_logprob": [512]}, "token_ids_logprob"),
        ({"input_ids": [1], "return_logprob": True, "logprob_start_len": 2}, "logprob_start_len"),
        ({"text": "x", "image_data": ["data:"]}, "image_data"),
        ({"text": "x", "lora_path": "a"}, "lora_path"),
        ({"text": "x", "model": "other"}, "model"),
    ],
)
async def test_faults_are_named(http: httpx.AsyncClient, pipeline: Any, body: dict[str, Any], param: str) -> None:
    response = await http.post(PATH, json=body)
    assert response.status_code == (404 if param == "model" else 400)
    error = response.json()["error"]
    assert error["param"] == param
    assert set(error) == {"message", "type", "param", "code"}
    assert pipeline.generates == []


async def test_what_clients_send_without_meaning_it_is_let_through(http: httpx.AsyncClient, pipeline: Any) -> None:
    body = {
        "text": "x",
        "lora_path": None,
        "logprob_start_len": -1,
        "return_routed_experts": False,
        "sampling_params": {"ignore_eos": True, "max_new_tokens": None, "spaces_between_special_tokens": True},
    }
    assert (await http.post(PATH, json=body)).status_code == 200
    (sent,) = pipeline.generates
    assert (sent.params.stop_conditions.max_tokens, sent.params.stop_conditions.ignore_eos, sent.params.logprobs) == (
        -1,
        True,
        None,
    )


async def test_a_batch_has_a_bound(serving: Any, pipeline: Any) -> None:
    async with (
        serving(max_open_requests=4) as gateway,
        httpx.AsyncClient(base_url=gateway.server.url, timeout=PATIENCE_S) as http,
    ):
        for body, param in (
            ({"text": ["x"] * 5}, "text"),
            ({"text": "x", "sampling_params": {"n": 5}}, "sampling_params.n"),
        ):
            response = await http.post(PATH, json=body)
            assert response.status_code == 400
            assert response.json()["error"]["param"] == param
    assert pipeline.generates == []
