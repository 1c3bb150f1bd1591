"""Records outlive the gateway that wrote them, and its version."""

import msgspec
import pytest

from xylem.services.gateway.apis.openai_responses.items import messages_of, read_items
from xylem.services.gateway.apis.openai_responses.schema import FunctionCall, MessageItem, Thought
from xylem.services.gateway.apis.openai_responses.store.record import Record, decode, encode

CALL = '{"id":"fc_1","status":"completed","call_id":"call_1","name":"time","arguments":"{}","type":"function_call"}'
SAID = (
    '{"id":"msg_1","status":"completed","content":[{"text":"Hi","logprobs":[{"token":"Hi","logprob":-0.5,"bytes":[72,105],'
    '"top_logprobs":[]}],"annotations":[],"type":"output_text"}],"role":"assistant","type":"message"}'
)
THOUGHT = (
    '{"id":"rs_1","status":"incomplete","content":[{"text":"Hm","type":"reasoning_text"}],'
    '"summary":[],"type":"reasoning"}'
)
ASKED = (
    '{"id":"msg_0","type":"message","status":"completed","role":"user",'
    '"content":[{"type":"input_text","text":"Hello"}]}'
)
RESULT = '{"id":"fco_1","type":"function_call_output","status":"completed","call_id":"call_1","output":"noon"}'
FINAL = (
    '{"id":"resp_1","object":"response","created_at":7,"completed_at":8,"status":"completed","model":"tiny",'
    f'"output":[{THOUGHT},{SAID},{CALL}],"error":null,"incomplete_details":null,'
    '"usage":{"input_tokens":1,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":2,'
    '"output_tokens_details":{"reasoning_tokens":1},"total_tokens":3},"instructions":null,"previous_response_id":null,'
    '"max_output_tokens":null,"temperature":1,"top_p":null,"top_logprobs":0,"text":{"format":{"type":"text"}},'
    '"tools":[{"type":"function","name":"time","parameters":null,"strict":null}],"tool_choice":"auto",'
    '"parallel_tool_calls":true,"reasoning":{"effort":null,"summary":null},"metadata":{"a":"b"},"store":true,'
    '"background":false,"truncation":"disabled","max_tool_calls":null}'
)
# As gateways wrote it when an item was an object of whatever keys, its type the last of them.
STORED = (
    '{"id":"resp_1","created_at":7,"owner":"gw","body":{"model":"tiny","input":"","stream":true},'
    f'"items":[{ASKED},{THOUGHT},{SAID},{CALL},{RESULT}],"tenant":"alice","salt":"s","seed":5,"generation":0,'
    f'"final":{FINAL},"num_events":12}}'
).encode()


def test_a_record_of_an_earlier_version_is_read_and_keeps_all_that_it_says() -> None:
    record = decode(STORED)
    assert [type(item).__name__ for item in record.items] == [
        "MessageItem",
        "Thought",
        "MessageItem",
        "FunctionCall",
        "FunctionResult",
    ]
    assert record.final is not None
    assert [type(item) for item in record.final.output] == [Thought, MessageItem, FunctionCall]
    assert msgspec.json.decode(encode(record)) == msgspec.json.decode(STORED)


def test_a_conversation_is_the_same_after_it_was_stored() -> None:
    items = read_items(
        [
            {"role": "user", "content": "Hello"},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]},
            {"type": "function_call", "call_id": "c", "name": "time", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "noon"},
            {"role": "assistant", "content": [{"type": "output_text", "text": "It is noon."}]},
        ]
    )
    stored = decode(encode(Record(id="resp_1", created_at=7, owner="gw", body={}, items=items)))
    assert stored.items == items
    messages = [message.to_json() for message in messages_of(stored.items, "Be brief.")]
    assert [(message["role"], message["content"]) for message in messages] == [
        ("system", "Be brief."),
        ("user", "Hello"),
        ("assistant", ""),
        ("tool", "noon"),
        ("assistant", "It is noon."),
    ]
    assert messages[2]["reasoning_content"] == "Hm"
    assert messages[2]["tool_calls"] == [
        {"id": "c", "type": "function", "function": {"name": "time", "arguments": "{}"}}
    ]


def test_what_no_version_wrote_is_an_error() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(STORED.replace(b'"type":"function_call_output"', b'"type":"picture"'))
