"""Whatever comes over the bus is a message or a DecodeError; nothing else can leave `decode`."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.shared.protocol.test_messages import EXAMPLES
from tests.wire_strategies import malformed, message_kinds, values
from xylem.shared import protocol as m

every_kind = pytest.mark.parametrize("kind", message_kinds(), ids=lambda kind: kind.__name__)


@every_kind
@settings(max_examples=50)
@given(data=st.data())
def test_what_is_encoded_is_decoded_again(kind: type[m.Message], data: st.DataObject) -> None:
    message = data.draw(values(kind))
    assert m.decode(m.encode(message), kind) == message
    assert m.decode(m.encode(message), m.Ack | kind) == message  # type: ignore[arg-type]


@every_kind
@settings(max_examples=100)
@given(data=st.data())
def test_anything_else_is_a_decode_error_or_a_message(kind: type[m.Message], data: st.DataObject) -> None:
    raw = data.draw(malformed(kind))
    try:
        message = m.decode(raw, kind)
    except msgspec.DecodeError:
        return
    assert type(message) is kind
    again = m.encode(message)
    assert m.encode(m.decode(again, kind)) == again


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_a_cut_message_is_a_decode_error_at_every_length(message: m.Message) -> None:
    whole = m.encode(message)
    for length in range(len(whole)):
        with pytest.raises(msgspec.DecodeError):
            m.decode(whole[:length], type(message))


@pytest.mark.parametrize(
    "raw",
    [
        b"\x94\xa5Abort\xa2\xff\xfe\x00\xa1x",  # text that is no UTF-8
        b"\x95\xa5Abort\xa1r\x00\xa1x" + b"\x91" * 100_000,  # an appended field without a bottom
        b"\xdd\xff\xff\xff\xff\xa5Abort",  # four thousand million fields
        b"\x94\xa5Abort\xdb\xff\xff\xff\xffr",  # four gigabytes of name
        b"\x94\xa5Abort\xa1r\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\xa1x",  # attempt NaN
    ],
    ids=["no UTF-8", "nested", "many fields", "long text", "NaN"],
)
def test_known_traps(raw: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        m.decode(raw, m.Abort)


def sampled(**fields: Any) -> m.Tokenized:
    return m.Tokenized("r", 0, "g", "d", b"", params=m.GenerationParams(sampling=m.SamplingParams(**fields)))


@pytest.mark.parametrize(
    ("message", "where"),
    [
        (m.Abort("r", -1), "[2]"),
        (m.Abort("r", 2**31), "[2]"),  # would not fit into the column of attempts
        (m.Refused("r", 0, "queue_full", "", None, float("inf")), "[6]"),
        (m.Tokenized("r", 0, "g", "d", b"", params=m.GenerationParams(deadline_s=float("nan"))), "[7][8]"),
        (sampled(temperature=-1.0), "[7][0][0]"),
        (sampled(top_p=float("nan")), "[7][0][1]"),
        (sampled(seed=2**63), "[7][0][4]"),
        (m.Presence("executor", "e", 1, "m", capacity=m.Capacity(0, 16, 1, 1)), "[11][0]"),
        (m.Presence("executor", "e", 1, "m", capacity=m.Capacity(2**40, 16, 1, 1)), "[11][0]"),
        (m.Presence("executor", "e", 1, "m", capacity=m.Capacity(1, 0, 1, 1)), "[11][1]"),
        (m.Plan("s", 1, 0, -1), "[4]"),
    ],
)
def test_numbers_outside_their_borders_are_decode_errors(message: m.Message, where: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        m.decode(m.encode(message), type(message))
    assert f"`${where}`" in str(caught.value)
