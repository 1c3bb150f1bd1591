"""What chat and completions say for deltas and scores, in a stream and in one."""

import json
from typing import Any

import msgspec
import pytest

from xylem.services.gateway.apis.openai_chat.response import ChatResponseWriter
from xylem.services.gateway.apis.openai_completions.response import CompletionResponseWriter
from xylem.services.gateway.generation.choice_output import ChoiceOutput
from xylem.services.gateway.generation.logprobs import Alternative, LogprobToken
from xylem.services.gateway.generation.output_queue import OutputDelta
from xylem.services.gateway.generation.session import Totals
from xylem.services.gateway.http.response_writer import Head, ResponseWriter, Usage
from xylem.services.gateway.output_parsers.deltas import CallArguments, CallBegun, Content, Delta, Reasoning
from xylem.shared.protocol import FinishReason
from xylem.shared.protocol.columns import pack

HEAD = Head("chatcmpl-0123456789abcdef", 17, "tiny")
USAGE = Usage.of(Totals(prompt=3, completion=2, cached=1))


def piece(
    *deltas: Delta, finish: FinishReason = FinishReason.NONE, last: tuple[Delta, ...] = (), **more: Any
) -> OutputDelta:
    return OutputDelta(0, deltas=list(deltas), finish=finish, last_deltas=list(last), **more)


def plain(value: Any) -> Any:
    return json.loads(msgspec.json.encode(value))


def streamed(form: ResponseWriter[Any], *pieces: OutputDelta) -> list[dict[str, Any]]:
    """The choice of each chunk."""
    chunks = [plain(chunk) for each in pieces for chunk in form.build_chunks(each, msgspec.UNSET)]
    return [chunk["choices"][0] for chunk in chunks]


def whole(form: ResponseWriter[Any], *pieces: OutputDelta) -> dict[str, Any]:
    result = ChoiceOutput()
    for each in pieces:
        result.add_output(each)
    choice: dict[str, Any] = plain(form.build_response([result], USAGE))["choices"][0]
    return choice


CALLING = (
    piece(Reasoning("Well. ")),
    piece(Content("I look. "), CallBegun(0, "weather")),
    piece(CallArguments(0, '{"city": '), token_ids=pack([5, 6])),
    piece(
        CallArguments(0, '"Oslo"}'),
        CallBegun(1, "time"),
        finish=FinishReason.STOP,
        last=(CallArguments(1, "{}"),),
        called=True,
    ),
)


def test_calls_in_a_stream() -> None:
    choices = streamed(ChatResponseWriter(HEAD), *CALLING)
    deltas = [choice["delta"] for choice in choices]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert deltas[1] == {"reasoning_content": "Well. "}
    assert deltas[2]["content"] == "I look. "
    begun = deltas[2]["tool_calls"][0]
    assert (begun["index"], begun["type"], begun["function"]) == (0, "function", {"name": "weather", "arguments": ""})
    assert deltas[3] == {"tool_calls": [{"index": 0, "function": {"arguments": '{"city": '}}]}
    assert deltas[4]["tool_calls"][1]["id"] != begun["id"]
    assert deltas[5] == {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]}
    assert [choice["finish_reason"] for choice in choices] == [None] * 5 + ["tool_calls"]


def test_calls_in_one() -> None:
    choice = whole(ChatResponseWriter(HEAD), *CALLING)
    message = choice["message"]
    assert choice["finish_reason"] == "tool_calls"
    assert (message["reasoning_content"], message["content"]) == ("Well. ", "I look. ")
    calls = [call["function"] for call in message["tool_calls"]]
    assert calls == [{"name": "weather", "arguments": '{"city": "Oslo"}'}, {"name": "time", "arguments": "{}"}]
    begun = streamed(ChatResponseWriter(HEAD), *CALLING)[2]["delta"]["tool_calls"][0]
    assert message["tool_calls"][0]["id"] == begun["id"], "an answer that is read again has the same ids"


def test_a_call_alone_has_no_content() -> None:
    message = whole(ChatResponseWriter(HEAD), piece(CallBegun(0, "f"), finish=FinishReason.STOP))["message"]
    assert message["content"] is None
    assert "reasoning_content" not in message
    message = whole(ChatResponseWriter(HEAD), piece(finish=FinishReason.LENGTH))["message"]
    assert message["content"] == ""
    assert "tool_calls" not in message


EURO = LogprobToken(9, b"\xe2\x82", -0.5, 3, 3, (Alternative(9, b"\xe2\x82", -0.5), Alternative(3, b" x", -1.5)))
WORD = LogprobToken(7, b" is", -0.25, 0, 3, (Alternative(7, b" is", -0.25),))
FIRST = LogprobToken(1, b"The", None, 0, 3)


def test_log_probabilities_of_chat() -> None:
    pieces = (piece(Content(" is"), scored=[WORD]), piece(finish=FinishReason.STOP, scored=[EURO]))
    choices = streamed(ChatResponseWriter(HEAD, with_logprobs=True), *pieces)
    told = [token for choice in choices if choice["logprobs"] for token in choice["logprobs"]["content"]]
    assert told == whole(ChatResponseWriter(HEAD, with_logprobs=True), *pieces)["logprobs"]["content"]
    assert [token["token"] for token in told] == [" is", "\ufffd"]
    assert told[1]["bytes"] == [0xE2, 0x82]
    assert told[1]["top_logprobs"][1] == {"token": " x", "logprob": -1.5, "bytes": [32, 120]}
    assert whole(ChatResponseWriter(HEAD), *pieces)["logprobs"] is None


def test_log_probabilities_of_completions() -> None:
    pieces = (piece(Content(" is"), scored=[WORD], prompt_scored=[FIRST]), piece(finish=FinishReason.LENGTH))
    choice = whole(CompletionResponseWriter(HEAD, ["The"], 1), *pieces)
    assert choice["text"] == "The is"
    assert choice["logprobs"] == {
        "tokens": ["The", " is"],
        "token_logprobs": [None, -0.25],
        "top_logprobs": [None, {" is": -0.25}],
        "text_offset": [0, 3],
    }
    assert whole(CompletionResponseWriter(HEAD, ["The"], 0), *pieces)["logprobs"]["top_logprobs"] is None
    assert streamed(CompletionResponseWriter(HEAD, ["The"], 1), *pieces)[0]["logprobs"] == choice["logprobs"]


def test_the_stop_that_was_met_is_told() -> None:
    assert whole(ChatResponseWriter(HEAD), piece(finish=FinishReason.STOP, matched="END"))["matched_stop"] == "END"
    assert whole(ChatResponseWriter(HEAD), piece(finish=FinishReason.STOP, token_ids=pack([4, 2])))["matched_stop"] == 2
    cut = piece(finish=FinishReason.LENGTH, token_ids=pack([4, 2]))
    assert whole(ChatResponseWriter(HEAD), cut)["matched_stop"] is None
    assert streamed(ChatResponseWriter(HEAD), cut)[-1]["matched_stop"] is None


@pytest.mark.parametrize("names_tool", [False, True])
@pytest.mark.parametrize(
    ("finish", "called", "named"),
    [(FinishReason.STOP, "tool_calls", "stop"), (FinishReason.LENGTH, "length", "length")],
)
def test_the_reason_of_an_answer_with_a_call(names_tool: bool, finish: FinishReason, called: str, named: str) -> None:
    writer = ChatResponseWriter(HEAD, names_tool=names_tool)
    calling = piece(CallBegun(0, "f"), CallArguments(0, "{}"), finish=finish, called=True)
    expected = named if names_tool else called
    assert whole(writer, calling)["finish_reason"] == expected
    assert streamed(writer, calling)[-1]["finish_reason"] == expected
