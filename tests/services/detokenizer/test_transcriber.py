from collections import defaultdict
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.generation_params import gathered
from xylem.services.detokenizer.decoders import decoder_factory, spelling
from xylem.services.detokenizer.policy import DetokenizerPolicy
from xylem.services.detokenizer.transcriber import Transcriber
from xylem.shared.model_info.tokenizer_codec import TextCodec
from xylem.shared.protocol import (
    Abort,
    FinishReason,
    LogprobParams,
    Logprobs,
    Presence,
    SequenceStart,
    TextDeltas,
    TokenDeltas,
)
from xylem.shared.protocol.columns import pack, pack_floats, unpack, unpack_floats

Row = tuple[int, int, list[int], int]  # sequence id, offset, token ids, finish
TEXT = "héllo wörld, 你好 🙂 the END of it"
POLICY = DetokenizerPolicy(idle_s=900.0, num_starts_per_sweep=16)


@pytest.fixture
def transcriber(codec: TextCodec) -> Transcriber:
    return made(codec)


def made(codec: TextCodec) -> Transcriber:
    return Transcriber(decoder_factory(codec), decoder_factory(codec, keep_special=True), spelling(codec), POLICY)


def start_of(request: str = "r", *, attempt: int = 0, output: list[int] | None = None, **more: Any) -> SequenceStart:
    return SequenceStart(
        request_id=request,
        attempt=attempt,
        gateway=more.pop("gateway", "g"),
        scheduler="s",
        num_prompt_tokens=7,
        num_cached_tokens=3,
        output_ids=pack(output or []),
        **gathered(more),
    )


def deltas(
    rows: list[Row], *starts: tuple[int, SequenceStart], executor: str = "e", epoch: int = 1, plan_epoch: int = 1
) -> TokenDeltas:
    return TokenDeltas(
        executor=executor,
        epoch=epoch,
        sequence_ids=pack(row[0] for row in rows),
        offsets=pack(row[1] for row in rows),
        counts=pack(len(row[2]) for row in rows),
        token_ids=pack(token for row in rows for token in row[2]),
        finishes=pack(row[3] for row in rows),
        starts=starts,
        plan_epoch=plan_epoch,
    )


def sent(transcriber: Transcriber) -> dict[str, list[tuple[int, int, list[int], str, int]]]:
    """Rows by request: attempt, offset, ids, text, finish. Empties the buffer."""
    rows = defaultdict(list)
    for _, message in transcriber.text_deltas.take_messages("d"):
        ids = list(unpack(message.token_ids))
        for request, attempt, offset, num_tokens, text, finish, prompt, cached in zip(
            message.request_ids,
            unpack(message.attempts),
            unpack(message.offsets),
            unpack(message.counts),
            message.texts,
            unpack(message.finishes),
            unpack(message.num_prompt_tokens),
            unpack(message.num_cached_tokens),
            strict=True,
        ):
            assert (prompt, cached) == (7, 3)
            rows[request].append((attempt, offset, ids[:num_tokens], text, finish))
            del ids[:num_tokens]
        assert not ids
    return dict(rows)


def text_of(rows: list[tuple[int, int, list[int], str, int]]) -> str:
    return "".join(row[3] for row in rows)


def test_rows_of_several_requests_and_gateways(codec: TextCodec, transcriber: Transcriber) -> None:
    a, b = codec.encode("hello", add_special_tokens=False), codec.encode("world", add_special_tokens=False)
    transcriber.transcribe(
        deltas(
            [(1, 0, a, 0), (2, 0, b, FinishReason.LENGTH)],
            (1, start_of("a", gateway="g1")),
            (2, start_of("b", gateway="g2")),
        ),
        0,
    )
    messages = dict(transcriber.text_deltas.take_messages("d"))
    assert {gateway: message.request_ids for gateway, message in messages.items()} == {"g1": ("a",), "g2": ("b",)}
    assert messages["g2"].detokenizer == "d"
    assert messages["g2"].texts == ("world",)
    assert unpack(messages["g2"].finishes).tolist() == [FinishReason.LENGTH]
    assert transcriber.num_open == 1


def test_what_piled_up_leaves_as_one_message_in_order(codec: TextCodec, transcriber: Transcriber) -> None:
    ids = codec.encode(TEXT, add_special_tokens=False)
    transcriber.transcribe(deltas([(1, 0, ids[:1], 0)], (1, start_of())), 0)
    for offset in range(1, len(ids)):
        transcriber.transcribe(deltas([(1, offset, ids[offset : offset + 1], 0)]), 0)
    ((_, message),) = transcriber.text_deltas.take_messages("d")
    assert unpack(message.offsets).tolist() == list(range(len(ids)))
    assert "".join(message.texts) == TEXT


def test_the_token_that_ends_a_sequence_is_not_rendered(codec: TextCodec, transcriber: Transcriber) -> None:
    ids = codec.encode("the x", add_special_tokens=False)
    transcriber.transcribe(deltas([(1, 0, ids, FinishReason.STOP)], (1, start_of())), 0)
    assert sent(transcriber)["r"] == [(0, 0, ids, codec.decode(ids[:-1], skip_special_tokens=True), FinishReason.STOP)]


def test_held_back_text_comes_with_the_end(codec: TextCodec, transcriber: Transcriber) -> None:
    ids = codec.encode("say EN", add_special_tokens=False)
    transcriber.transcribe(deltas([(1, 0, ids, 0)], (1, start_of(stop=("END",)))), 0)
    assert text_of(sent(transcriber)["r"]) == "say "
    transcriber.transcribe(deltas([(1, len(ids), codec.encode("!", add_special_tokens=False), FinishReason.LENGTH)]), 0)
    assert text_of(sent(transcriber)["r"]) == "EN!"


@given(cuts=st.sets(st.integers(1, 60)), stop=st.sampled_from(["END", "好", "o w", "🙂 t", "absent"]))
def test_stop_strings_cut_the_text_whatever_the_split(codec: TextCodec, cuts: set[int], stop: str) -> None:
    transcriber = made(codec)
    ids = codec.encode(TEXT, add_special_tokens=False)
    borders = sorted({0, len(ids)} | {cut for cut in cuts if cut < len(ids)})
    first = [(1, start_of(stop=(stop,)))]
    for start, end in pairwise(borders):
        finish = FinishReason.LENGTH if end == len(ids) else FinishReason.NONE
        transcriber.transcribe(deltas([(1, start, ids[start:end], finish)], *first), 0)
        first = []
    rows = sent(transcriber)["r"]
    assert text_of(rows) == TEXT.split(stop)[0]
    assert [row[4] for row in rows if row[4]] == [FinishReason.STOP if stop in TEXT else FinishReason.LENGTH]
    assert transcriber.num_open == 0
    assert all(abort == ("s", Abort(request_id="r", attempt=0, reason="stop")) for abort in transcriber.aborts)
    ended_early = stop in TEXT and sum(len(row[2]) for row in rows) < len(ids)
    assert len(transcriber.aborts) <= 1
    assert transcriber.aborts or not ended_early


@given(cut=st.integers(0, 60), stop=st.sampled_from([(), ("of",), ("好 ",)]))
def test_a_new_attempt_goes_on_where_the_last_one_ended(codec: TextCodec, cut: int, stop: tuple[str, ...]) -> None:
    ids = codec.encode(TEXT, add_special_tokens=False)
    cut = min(cut, len(ids))
    first = made(codec)
    first.transcribe(deltas([(1, 0, ids[:cut], 0)], (1, start_of(stop=stop))), 0)
    before = sent(first)["r"]
    if before[-1][4]:
        return  # the stop string was in the first part
    second = made(codec)
    second.transcribe(
        deltas([(9, cut, ids[cut:], FinishReason.LENGTH)], (9, start_of(attempt=1, output=ids[:cut], stop=stop))), 0
    )
    after = sent(second)["r"]
    assert after[0][:2] == (1, cut)
    assert text_of(before) + text_of(after) == (TEXT.split(stop[0])[0] if stop else TEXT)


@given(seen=st.integers(0, 40), replayed=st.integers(0, 40))
def test_a_readmitted_request_gets_what_was_not_given_out(codec: TextCodec, seen: int, replayed: int) -> None:
    ids = codec.encode(TEXT, add_special_tokens=False)
    seen, replayed = min(seen, len(ids) - 1), min(replayed, len(ids) - 1)
    transcriber = made(codec)
    transcriber.transcribe(deltas([(1, 0, ids[:seen], 0)], (1, start_of())), 0)
    readmitted = (5, start_of(output=ids[:replayed]))
    transcriber.transcribe(deltas([(5, replayed, ids[replayed : replayed + 1], 0)], readmitted, executor="other"), 0)
    transcriber.transcribe(deltas([(1, seen, ids[seen : seen + 1], 0)]), 0)  # the old sequence is nobody's any more
    for offset in range(replayed + 1, len(ids)):
        transcriber.transcribe(deltas([(5, offset, ids[offset : offset + 1], 0)], executor="other"), 0)
    rows = sent(transcriber)["r"]
    assert text_of(rows) == TEXT
    assert [token for row in rows for token in row[2]] == ids
    assert [row[1] for row in rows] == [sum(len(r[2]) for r in rows[:i]) for i in range(len(rows))]
    assert transcriber.num_open == 1


def test_a_gap_is_shown_to_the_gateway_and_ends_the_sequence(codec: TextCodec, transcriber: Transcriber) -> None:
    ids = codec.encode("hello", add_special_tokens=False)
    transcriber.transcribe(deltas([(1, 0, ids[:1], 0)], (1, start_of())), 0)
    transcriber.transcribe(deltas([(1, 3, ids[3:4], 0)]), 0)
    transcriber.transcribe(deltas([(1, 4, ids[4:5], 0)]), 0)
    assert [(row[1], row[3]) for row in sent(transcriber)["r"]][1:] == [(3, "")]
    assert transcriber.num_open == 0


def test_rows_without_an_opening_are_ignored(transcriber: Transcriber) -> None:
    transcriber.transcribe(deltas([(1, 5, [70], 0)]), 0)
    assert sent(transcriber) == {}


def test_a_younger_attempt_replaces_an_older_and_not_the_other_way_round(transcriber: Transcriber) -> None:
    transcriber.transcribe(deltas([(1, 0, [70], 0)], (1, start_of(attempt=1))), 0)
    transcriber.transcribe(deltas([(2, 0, [70], 0)], (2, start_of(attempt=0))), 0)
    assert [row[0] for row in sent(transcriber)["r"]] == [1]
    transcriber.transcribe(deltas([(3, 0, [70], 0), (1, 1, [70], 0)], (3, start_of(attempt=2))), 0)
    assert [row[0] for row in sent(transcriber)["r"]] == [2]
    assert transcriber.num_open == 1


def test_a_replay_that_meets_the_stop_string_ends_at_once(codec: TextCodec, transcriber: Transcriber) -> None:
    ids = codec.encode("hello", add_special_tokens=False)
    transcriber.transcribe(deltas([(1, len(ids), [70], 0)], (1, start_of(output=ids, stop=("ll",)))), 0)
    assert sent(transcriber)["r"] == [(0, len(ids), [], "", FinishReason.STOP)]
    assert len(transcriber.aborts) == 1


def presence(executor: str, epoch: int) -> Presence:
    return Presence(kind="executor", id=executor, epoch=epoch, model="m")


def test_states_end_with_their_executor(transcriber: Transcriber) -> None:
    for executor in ("e", "f"):
        transcriber.transcribe(deltas([(1, 0, [70], 0)], (1, start_of(executor)), executor=executor), 0)
    transcriber.on_executor_change(presence("e", 1), alive=True)
    assert transcriber.num_open == 2
    transcriber.on_executor_change(presence("e", 1), alive=False)
    transcriber.on_executor_change(presence("unknown", 1), alive=False)
    assert transcriber.num_open == 1
    transcriber.on_executor_change(presence("f", 2), alive=True)
    assert transcriber.num_open == 0


def test_a_new_epoch_of_an_executor_shows_in_its_messages_too(transcriber: Transcriber) -> None:
    transcriber.transcribe(deltas([(1, 0, [70], 0)], (1, start_of("a"))), 0)
    transcriber.transcribe(deltas([(1, 0, [70], 0)], (1, start_of("b")), epoch=2), 0)
    assert transcriber.num_open == 1


def test_the_last_steps_of_an_earlier_life_open_nothing(transcriber: Transcriber) -> None:
    """They may still be on their way when its heartbeat has told of the next one, which is not told again."""
    transcriber.on_executor_change(presence("e", 2), alive=True)
    transcriber.transcribe(deltas([(1, 0, [70], 0)], (1, start_of("late")), epoch=1), 0)
    assert transcriber.num_open == 0
    transcriber.transcribe(deltas([(1, 0, [70], 0)], (1, start_of("new")), epoch=2), 0)
    assert transcriber.num_open == 1
    transcriber.on_executor_change(presence("e", 1), alive=True)  # started anew on a host whose clock is behind
    transcriber.transcribe(deltas([(1, 0, [70], 0)], (1, start_of("newer")), epoch=1), 0)
    assert transcriber.num_open == 1


def test_aborted_and_lost_sequences_are_forgotten(transcriber: Transcriber) -> None:
    transcriber.transcribe(deltas([(1, 0, [70], 0)], (1, start_of(attempt=1))), 0)
    transcriber.abort_request("r", 0)
    transcriber.abort_request("other", 3)
    assert transcriber.num_open == 1
    transcriber.abort_request("r", 1)
    assert transcriber.num_open == 0
    transcriber.transcribe(deltas([(2, 0, [70], 0)], (2, start_of())), 0)
    transcriber.drop_all()
    assert (transcriber.num_open, sent(transcriber)) == (0, {})


def test_an_abort_that_overtakes_an_opening_leaves_nothing_open(transcriber: Transcriber) -> None:
    transcriber.abort_request("r", 1)
    transcriber.transcribe(deltas([(1, 0, [70], 0)], (1, start_of(attempt=1))), 0)
    transcriber.transcribe(deltas([(1, 1, [70], 0)]), 0)
    assert (transcriber.num_open, sent(transcriber)) == (0, {})
    transcriber.transcribe(deltas([(2, 0, [70], 0)], (2, start_of(attempt=2))), 0)
    assert transcriber.num_open == 1


def test_silent_sequences_do_not_pile_up(transcriber: Transcriber) -> None:
    for number in range(POLICY.num_starts_per_sweep - 1):
        transcriber.transcribe(deltas([(number, 0, [70], 0)], (number, start_of(f"r{number}"))), 0)
    transcriber.transcribe(deltas([(0, 1, [70], 0)]), POLICY.idle_s)
    transcriber.transcribe(deltas([(5000, 0, [70], 0)], (5000, start_of("last"))), POLICY.idle_s + 1)
    assert transcriber.num_open == 2


def test_a_resumable_request_goes_on_to_another_gateway(transcriber: Transcriber, codec: TextCodec) -> None:
    ids = codec.encode(TEXT, add_special_tokens=False)
    transcriber.transcribe(deltas([(1, 0, ids[:4], 0)], (1, start_of(resumable=True))), 0.0)
    sent(transcriber)
    first = codec.decode(ids[:4], skip_special_tokens=True)
    resumed = transcriber.resume_request("r", "other", 2, 1.0)
    assert (resumed.found, resumed.running, resumed.text) == (True, True, first[2:])
    assert resumed.token_ids == pack(ids[:4])
    transcriber.transcribe(deltas([(1, 4, ids[4:6], 0)]), 2.0)
    assert [gateway for gateway, _ in transcriber.text_deltas.take_messages("d")] == ["other"]


def test_a_resumable_request_that_does_not_run_any_more_can_still_be_read(
    transcriber: Transcriber, codec: TextCodec
) -> None:
    ids = codec.encode(TEXT, add_special_tokens=False)
    transcriber.transcribe(deltas([(1, 0, ids[:4], 0)], (1, start_of(resumable=True))), 0.0)
    transcriber.abort_request("r", 0)
    resumed = transcriber.resume_request("r", "other", 0, 1.0)
    assert (resumed.found, resumed.running, resumed.finish) == (True, False, FinishReason.NONE)
    assert resumed.token_ids == pack(ids[:4])
    assert not transcriber.resume_request("r", "other", 1000, 1.0).found
    assert not transcriber.resume_request("never", "other", 0, 1.0).found


def test_others_leave_no_tail(transcriber: Transcriber, codec: TextCodec) -> None:
    transcriber.transcribe(deltas([(1, 0, codec.encode(TEXT, add_special_tokens=False)[:4], 0)], (1, start_of())), 0.0)
    assert not transcriber.resume_request("r", "other", 0, 1.0).found


def test_another_plan_epoch_ends_the_sequences_of_the_last_one(transcriber: Transcriber, codec: TextCodec) -> None:
    """Sequence ids begin anew with another scheduler: those of the old ones must not be taken for the new ones."""
    ids = codec.encode(TEXT, add_special_tokens=False)
    transcriber.transcribe(deltas([(1, 0, ids[:2], 0)], (1, start_of("old"))), 0.0)
    transcriber.transcribe(deltas([(1, 0, ids[:2], 0)], (1, start_of("new")), plan_epoch=2), 0.0)
    transcriber.abort_request("old", 0)
    sent(transcriber)
    transcriber.transcribe(deltas([(1, 2, ids[2:4], 0)], plan_epoch=2), 0.0)
    assert set(sent(transcriber)) == {"new"}
    assert transcriber.num_open == 1


def scores_of(values: list[float], top: list[tuple[int, float]], **more: Any) -> Logprobs:
    return Logprobs(
        pack_floats(values), pack(token for token, _ in top), pack_floats(value for _, value in top), b"", **more
    )


def messages(transcriber: Transcriber) -> list[TextDeltas]:
    return [message for _, message in transcriber.text_deltas.take_messages("d")]


def test_scores_come_with_the_looks_and_places_of_their_tokens(transcriber: Transcriber, codec: TextCodec) -> None:
    ids = codec.encode("héllo 🙂", add_special_tokens=False)
    top = [(token, -0.5) for token in ids for _ in range(2)]
    prompt = scores_of([float("nan"), -2.0], top[:4], token_ids=pack(ids[:2]))
    first = msgspec.structs.replace(
        deltas([(1, 0, ids, FinishReason.LENGTH)], (1, start_of(logprobs=LogprobParams(token_ids=pack(ids[:1]))))),
        scores=((0, scores_of([-0.5] * len(ids), top)),),
        prompt_scores=((0, prompt),),
    )
    transcriber.transcribe(first, 0)
    [message] = messages(transcriber)
    [(row, scored)] = message.scored
    assert row == 0
    assert b"".join(scored.tokens).decode() == message.texts[0] == "héllo 🙂"
    assert list(unpack(scored.ends))[-1] == len("héllo 🙂")
    assert scored.top_tokens[::2] == scored.tokens
    assert scored.asked_tokens == scored.tokens[:1]
    [(_, of_prompt)] = message.prompt_scored
    assert (of_prompt.token_ids, of_prompt.tokens) == (pack(ids[:2]), scored.tokens[:2])


def test_scores_of_tokens_that_are_known_are_left_out(transcriber: Transcriber) -> None:
    transcriber.transcribe(deltas([(1, 0, [70, 71], 0)], (1, start_of())), 0)
    again = deltas([(1, 1, [71, 72, 73], 0)])
    scores = scores_of([-1.0, -2.0, -3.0], [(70, -1.0), (71, -2.0), (72, -3.0)])
    transcriber.transcribe(msgspec.structs.replace(again, scores=((0, scores),)), 0)
    [message] = messages(transcriber)
    [(row, scored)] = message.scored
    assert (row, list(unpack_floats(scored.scores.logprobs))) == (1, [-2.0, -3.0])
    assert list(unpack(scored.token_ids)) == [72, 73]
    assert list(unpack(scored.scores.top_ids)) == [71, 72]


def test_nothing_stops_within_min_tokens(transcriber: Transcriber, codec: TextCodec) -> None:
    ids = codec.encode("a b a b a b", add_special_tokens=False)
    enough = len(codec.encode("a b a", add_special_tokens=False))
    transcriber.transcribe(deltas([(1, 0, ids, 0)], (1, start_of(stop=("b",), min_tokens=enough))), 0)
    [message] = messages(transcriber)
    assert "".join(message.texts) == "a b a "
    assert message.matched == ((0, "b"),)


def test_special_tokens_have_text_when_they_are_to_be_kept(transcriber: Transcriber, codec: TextCodec) -> None:
    special = codec.tokenizer.token_to_id(sorted(codec.special_texts())[0])
    transcriber.transcribe(deltas([(1, 0, [special, 70], 0)], (1, start_of(keep_special=True))), 0)
    [message] = messages(transcriber)
    assert message.texts[0].startswith(sorted(codec.special_texts())[0])


def test_a_hostile_stop_pattern_is_the_requests_own_error(transcriber: Transcriber, codec: TextCodec) -> None:
    a = codec.encode("a", add_special_tokens=False)
    transcriber.transcribe(deltas([(1, 0, a * 64, 0)], (1, start_of(stop_regex=("(a|aa)+$x",)))), 0)
    [(gateway, refused)] = transcriber.refusals
    assert (gateway, refused.code, refused.param) == ("g", "invalid_request", "stop_regex")
    assert [abort.request_id for _, abort in transcriber.aborts] == ["r"]
    assert transcriber.num_open == 0


@given(st.lists(st.integers(1, 4), min_size=1), st.sampled_from([(), ("END",)]))
def test_what_came_with_each_token_is_the_same_however_they_came(
    codec: TextCodec, sizes: list[int], stop: tuple[str, ...]
) -> None:
    """So that what a client was told token by token can be told again by another gateway."""
    ids = codec.encode(TEXT, add_special_tokens=False)
    begun = start_of(stop=stop, resumable=True)

    def parts(cuts: list[int]) -> tuple[list[int], list[int]]:
        """Characters by token: as sent, and as the tail has them."""
        transcriber, start = made(codec), 0
        seen: list[int] = []
        for size in cuts:
            batch = ids[start : start + size]
            finish = FinishReason.LENGTH if start + size >= len(ids) else FinishReason.NONE
            transcriber.transcribe(deltas([(1, start, batch, finish)], *([(1, begun)] if start == 0 else [])), 0)
            start += len(batch)
            for message in messages(transcriber):
                seen += unpack(message.parts[0][1]) if message.parts else [len(message.texts[0])]
            if start >= len(ids):
                break
        resumed = transcriber.resume_request("r", "other", 0, 1.0)
        assert sum(unpack(resumed.parts)) == len(resumed.text)
        return seen, list(unpack(resumed.parts))

    cuts = [*sizes, *[1] * len(ids)]
    one_by_one, kept = parts([1] * len(ids))
    assert one_by_one == kept
    in_batches, kept = parts(cuts)
    assert in_batches == kept
    assert in_batches[: len(one_by_one)] == one_by_one


def test_the_answers_beginning_in_the_prompt_goes_with_the_first_row_of_each_attempt(codec: TextCodec) -> None:
    transcriber = made(codec)
    ids = codec.encode(TEXT, add_special_tokens=False)

    def prefixes() -> list[tuple[str, str]]:
        messages = [message for _, message in transcriber.text_deltas.take_messages("d")]
        return [(each.request_ids[row], prefix) for each in messages for row, prefix in each.prefixes]

    start = start_of("r", answer_prefix="<think>", resumable=True)
    transcriber.transcribe(deltas([(2, 0, ids[:1], 0), (1, 0, ids[:2], 0)], (1, start), (2, start_of("other"))), 0.0)
    assert prefixes() == [("r", "<think>")]
    transcriber.transcribe(deltas([(1, 2, ids[2:3], 0)]), 0.0)
    assert prefixes() == []
    assert transcriber.resume_request("r", "g2", 0, 0.0).answer_prefix == "<think>"
    again = start_of("r", attempt=1, output=ids[:3], answer_prefix="<think>")
    transcriber.transcribe(deltas([(3, 3, ids[3:4], 1)], (3, again)), 0.0)
    assert prefixes() == [("r", "<think>")]
