"""The wire format: golden bytes that must not change, and both directions of a rolling upgrade."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xylem.shared import protocol as m
from xylem.shared.protocol import FinishReason, columns

GOLDEN = Path(__file__).with_name("golden_messages.json")

SAMPLING = m.SamplingParams(
    temperature=0.5,
    top_p=0.9,
    top_k=40,
    min_p=0.1,
    seed=7,
    repetition_penalty=1.5,
    frequency_penalty=0.5,
    presence_penalty=-0.5,
    bias_ids=columns.pack([4]),
    bias_values=columns.pack_floats([-100.0]),
)
STOPS = m.StopConditions(16, True, ("END",), columns.pack([9]), 2, ("[.]",), True, True)
GRAMMAR = m.Grammar("regex", "[0-9]+", 11, "regex")
LOGPROB_PARAMS = m.LogprobParams(2, columns.pack([3]), 0)
PARAMS = m.GenerationParams(SAMPLING, STOPS, GRAMMAR, LOGPROB_PARAMS, "mean", "salt", 2, "acme", 9.5, True, "<think>")
START = m.SequenceStart(
    request_id="cmpl-1-0",
    attempt=1,
    gateway="gw",
    scheduler="s",
    num_prompt_tokens=5,
    num_cached_tokens=4,
    context_ids=columns.pack([1, 2]),
    output_ids=columns.pack([3]),
    params=PARAMS,
    trace="00-a-b-01",
)
SCORES = m.Logprobs(columns.pack_floats([-0.5]), columns.pack([42]), columns.pack_floats([-0.5]), b"")
SCORED = m.TokenLogprobs(SCORES, columns.pack([42]), (b"h\xc3",), columns.pack([1]), (b"h\xc3",), ())
ZERO, ONE = columns.pack([0]), columns.pack([1])
ADMIT = m.Admit(9, ONE, 4, columns.pack([0, 1]), 16, 0, "d", START, m.PageCopy(1, 2, 3), columns.pack([1]))
EXAMPLES: tuple[m.Message, ...] = (
    m.Generate("cmpl-1-0", 1, "gw", "d", "hello", None, None, b"[]", b"{}", b"", PARAMS, "t", False, ("<think>",),
        True),
    m.Tokenized("cmpl-1-0", 1, "gw", "d", columns.pack([1, 2, 3]), b"", PARAMS, "t", True),
    m.Ack(),
    m.Accepted("cmpl-1-0", 1, "s", 5),
    m.Refused("cmpl-1-0", 1, "queue_full", "the queue is full", "n", 1.5),
    m.Abort("cmpl-1-0", 1, "stop"),
    m.Plan("s", 3, 4, 5, columns.pack([8]), (ADMIT,), columns.pack([7]), ONE, columns.pack([6])),
    m.StepReport("e", 5, 3, 4, 6, columns.pack([9]), columns.pack([5]), ONE, columns.pack([42]), ZERO, 1500),
    m.TokenDeltas("e", 5, columns.pack([9]), ZERO, ONE, columns.pack([42]), ONE, ((9, START),), 3,
        ((0, SCORES),), ((0, SCORES),)),
    m.TextDeltas(
        "d", ("cmpl-1-0",), ONE, ZERO, ONE, columns.pack([42]), ("hé",), ONE, columns.pack([5]),
        columns.pack([4]), ((0, SCORED),), ((0, SCORED),), ((0, "END"),), ((0, ONE),), ((0, "<think>"),),
    ),
    m.Embedded("embd-1-0", 1, columns.pack_floats([0.6, 0.8]), 5, 4),
    m.Resume("cmpl-1-0", "gw", 7),
    m.Resumed(True, 1, "s", columns.pack([42]), "hé", FinishReason(1), 5, 4, True, ONE, "<think>"),
    m.ResponseCall("resp_1", "read", 7),
    m.ResponseReply(True, b"{}", 9, True),
    m.Presence("executor", "e", 5, "demo", "ready", 1, 2, 3, 4, 1, m.Capacity(100, 16, 64, 512, "both", "default")),
    m.WhoIsThere("gateway.gw"),
    m.Control("ping", b"{}"),
    m.ControlReply(True, b"{}"),
    m.Tokenize("hello", None, b"", b"", True),
    m.TokenizeReply(columns.pack([1]), "", "", None),
    m.Detokenize(columns.pack([1])),
    m.Detokenized("hello", "", "", None),
    m.Started("cmpl-1-0", 1, "s", "e", 5),
    m.StatusQuery(("cmpl-1-0",), ONE),
    m.StatusReply(ONE, ZERO),
    m.Adopt("cmpl-1-0", 1, "gw"),
    m.CacheEvents("s", "e", 5, 6, (columns.pack([1]),), (columns.pack([2]),)),
)  # fmt: skip


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_golden_bytes(message: m.Message) -> None:
    golden = json.loads(GOLDEN.read_text())
    name = type(message).__name__
    assert m.encode(message).hex() == golden[name], f"the wire format of {name} changed: only append fields"
    assert m.decode(bytes.fromhex(golden[name]), type(message)) == message


def test_every_message_has_golden_bytes() -> None:
    kinds = {kind.__name__ for kind in m.Message.__subclasses__()}
    assert kinds == set(json.loads(GOLDEN.read_text())) == {type(message).__name__ for message in EXAMPLES}


def test_a_newer_peers_appended_field_is_ignored_and_an_older_peers_missing_one_gets_its_default() -> None:
    array = msgspec.msgpack.decode(m.encode(m.Abort("r", 0, "stop")))
    assert m.decode(msgspec.msgpack.encode([*array, "appended"]), m.Abort) == m.Abort("r", 0, "stop")
    assert m.decode(msgspec.msgpack.encode(array[:3]), m.Abort) == m.Abort("r", 0, "client")


def test_a_message_of_protocol_1_is_a_decode_error() -> None:
    """There a request had its sampling where its parameters are now, and some tags were other ones."""
    sampling = [0.5, 1.0, 0, 0.0, 7, 1.0, 0.0, 0.0, b"", b""]
    tokenized = ["Tokenized", "r", 0, "g", "d", columns.pack([1]), b"", sampling, [16, False, [], b""], "", 0, 0.0, ""]
    for old, kind in ((tokenized, m.Tokenized), (["Finished", "r", 0], m.Abort)):
        with pytest.raises(msgspec.DecodeError):
            m.decode(msgspec.msgpack.encode(old), kind)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x93\xa5Abort\x01\x02", m.encode(m.Ack())])
def test_anything_else_is_a_decode_error(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        m.decode(data, m.Abort)


@given(st.lists(st.integers(-(2**31), 2**31 - 1)))
def test_columns_round_trip(values: list[int]) -> None:
    packed = columns.pack(values)
    assert columns.unpack(packed).tolist() == values
    assert columns.count(packed) == len(values)
    assert packed == b"".join(value.to_bytes(4, "little", signed=True) for value in values)


def test_rows_of_columns_side_by_side() -> None:
    assert list(columns.unpack_rows(columns.pack([1, 2]), columns.pack([3, 4]))) == [(1, 3), (2, 4)]
    assert list(m.StepReport("e", 1, 1, 1, 1).rows()) == []
    with pytest.raises(ValueError, match="columns of 2, 1 values"):
        columns.unpack_rows(columns.pack([1, 2]), columns.pack([3]))


def test_columns_refuse_what_is_no_int32() -> None:
    with pytest.raises(OverflowError):
        columns.pack([2**31])
    with pytest.raises(ValueError, match="multiple"):
        columns.unpack(b"abc")
