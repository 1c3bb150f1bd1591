"""The output queue coalesces, is bounded, and gives errors last."""

import asyncio

import pytest

from xylem.services.gateway.generation.output_queue import OutputQueue
from xylem.services.gateway.generation.text_rows import TextRow
from xylem.shared.protocol import FinishReason
from xylem.shared.protocol.columns import pack


def row(text: str, num_tokens: int, finish: FinishReason) -> TextRow:
    return TextRow(0, 0, bytes(4 * num_tokens), text, finish)


async def test_pieces_of_a_choice_are_joined() -> None:
    output_queue = OutputQueue(max_unread_tokens=8)
    output_queue.put_row(0, row("a", 1, FinishReason.NONE))
    output_queue.put_row(1, row("x", 2, FinishReason.NONE))
    output_queue.put_row(0, row("b", 1, FinishReason.STOP))
    first, second = await output_queue.take_deltas()
    assert (first.index, first.text, first.num_tokens, first.finish) == (0, "ab", 2, FinishReason.STOP)
    assert (second.index, second.text, second.num_tokens, second.finish) == (1, "x", 2, FinishReason.NONE)


async def test_a_waiting_reader_is_woken() -> None:
    output_queue = OutputQueue(max_unread_tokens=8)
    reader = asyncio.create_task(output_queue.take_deltas())
    await asyncio.sleep(0)
    output_queue.put_row(0, row("a", 1, FinishReason.NONE))
    assert [piece.text for piece in await reader] == ["a"]


async def test_the_first_error_comes_after_the_text() -> None:
    output_queue = OutputQueue(max_unread_tokens=8)
    output_queue.put_row(0, row("a", 1, FinishReason.NONE))
    output_queue.put_error(ValueError("first"))
    output_queue.put_error(ValueError("second"))
    assert len(await output_queue.take_deltas()) == 1
    for _ in range(2):
        with pytest.raises(ValueError, match="first"):
            await output_queue.take_deltas()


async def test_too_much_unread() -> None:
    output_queue = OutputQueue(max_unread_tokens=8)
    assert output_queue.put_row(0, row("", 8, FinishReason.NONE))
    assert output_queue.put_row(1, row("", 1, FinishReason.NONE))
    assert not output_queue.put_row(0, row("", 1, FinishReason.NONE))


async def test_joined_tokens_come_apart_again() -> None:
    output_queue = OutputQueue(max_unread_tokens=8)
    output_queue.put_row(0, row("ab", 1, FinishReason.NONE))
    output_queue.put_row(0, TextRow(0, 1, pack([7, 8, 9]), "cde", FinishReason.NONE, parts=pack([1, 0, 2])))
    output_queue.put_row(0, row("f", 1, FinishReason.STOP))
    [piece] = await output_queue.take_deltas()
    apart = [(each.text, each.num_tokens, each.finish) for each in piece.by_token()]
    assert apart == [*((text, 1, FinishReason.NONE) for text in ("ab", "c", "", "de")), ("f", 1, FinishReason.STOP)]
