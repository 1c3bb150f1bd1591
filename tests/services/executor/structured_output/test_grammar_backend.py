"""The child that compiles: real, killable, limited, and gone with its parent."""

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import xgrammar

from tests.services.executor.structured_output.conftest import END_ID, VOCAB_SIZE, start
from xylem.services.executor.structured_output import GrammarBackend, GrammarFailed, Matcher
from xylem.shared.protocol import Grammar

ROOT = Path(__file__).resolve().parents[4]
SMALL = Grammar("regex", "[0-9]+")
# 40,000 states, at each of which the whole vocabulary has to be tried.
HOSTILE = Grammar("regex", "(.{0,200}x){0,200}", param="guided_regex")
GREEDY = Grammar("regex", "((((a{100}){100}){100}){100}){100}", param="guided_regex")


def pid(grammars: GrammarBackend) -> int:
    return grammars._worker.pid


def test_a_compiled_grammar_comes_back_whole(grammars: GrammarBackend) -> None:
    compiled = grammars.compile(Grammar("json_object")).result(120)
    assert compiled.num_bytes > 0
    bitmask = xgrammar.allocate_token_bitmask(1, VOCAB_SIZE)
    assert Matcher(compiled, SMALL, end_ids=frozenset([END_ID]), output_ids=()).fill_mask(bitmask, 0)
    assert bitmask.ne(0).any()


def test_the_same_grammar_is_compiled_once(grammars: GrammarBackend) -> None:
    first, second = (grammars.compile(Grammar("regex", "once+")) for _ in range(2))
    assert first.result(120) is second.result(120)
    again = grammars.compile(Grammar("regex", "once+", after_id=5))
    assert again.done()
    assert again.result() is first.result()


def test_a_failure_names_its_field_and_is_remembered(grammars: GrammarBackend) -> None:
    with pytest.raises(GrammarFailed, match="parenthesis") as failed:
        grammars.compile(Grammar("regex", "(a", param="guided_regex")).result(120)
    assert (failed.value.param, failed.value.code) == ("guided_regex", "invalid_request")
    again = grammars.compile(Grammar("regex", "(a", param="other"))
    assert again.done()
    with pytest.raises(GrammarFailed) as failed:
        again.result()
    assert failed.value.param == "other"


def test_old_grammars_make_room() -> None:
    grammars = start(cache_bytes=20_000)
    try:
        first = grammars.compile(SMALL).result(120)
        for n in range(12):
            grammars.compile(Grammar("regex", f"[a-z]+{n}[0-9]*")).result(120)
        assert grammars._cached_bytes <= 20_000
        assert grammars.compile(SMALL).result(120) is not first
    finally:
        grammars.close()


def test_a_hostile_grammar_fails_alone() -> None:
    grammars = start(timeout_s=3)
    try:
        grammars.compile(SMALL).result(120)
        before = pid(grammars)
        hostile, other = grammars.compile(HOSTILE), grammars.compile(Grammar("regex", "[a-z]"))
        with pytest.raises(GrammarFailed, match="takes too long to compile") as failed:
            hostile.result(120)
        assert (failed.value.param, failed.value.code) == ("guided_regex", "invalid_request")
        assert other.result(120).num_bytes > 0
        assert pid(grammars) != before
    finally:
        grammars.close()


def test_a_greedy_grammar_fails_alone() -> None:
    grammars = start(memory_bytes=200 << 20)
    try:
        with pytest.raises(GrammarFailed, match="needs too much memory") as failed:
            grammars.compile(GREEDY).result(120)
        assert failed.value.code == "invalid_request"
        with pytest.raises(GrammarFailed, match="needs too much memory"):
            grammars.compile(Grammar("regex", "((a{1,200}){1,200}){1,200}b")).result(120)
        assert grammars.compile(SMALL).result(120).num_bytes > 0
    finally:
        grammars.close()


def test_a_child_that_was_killed_is_replaced() -> None:
    grammars = start()
    try:
        grammars.compile(SMALL).result(120)
        os.kill(pid(grammars), signal.SIGKILL)
        os.waitid(os.P_PID, pid(grammars), os.WEXITED | os.WNOWAIT)
        assert grammars.compile(Grammar("regex", "[a-z]")).result(120).num_bytes > 0
    finally:
        grammars.close()


def test_who_kills_a_compile_is_not_the_grammar() -> None:
    grammars = start(timeout_s=100)
    try:
        grammars.compile(SMALL).result(120)
        hostile = grammars.compile(HOSTILE)
        child = pid(grammars)
        os.kill(child, signal.SIGKILL)
        with pytest.raises(GrammarFailed) as failed:
            hostile.result(120)
        assert failed.value.code == "unavailable"
    finally:
        grammars.close()


def test_closing_ends_what_waits() -> None:
    grammars = start(timeout_s=100)
    grammars.compile(SMALL).result(120)
    child = pid(grammars)
    waiting = [grammars.compile(HOSTILE), grammars.compile(Grammar("regex", "x"))]
    grammars.close()
    for future in waiting:
        with pytest.raises(GrammarFailed) as failed:
            future.result(10)
        assert failed.value.code == "unavailable"
    assert not Path(f"/proc/{child}").exists()
    with pytest.raises(GrammarFailed, match="ending"):
        grammars.compile(Grammar("regex", "late")).result(1)


def test_logits_beyond_the_tokenizer_are_never_allowed() -> None:
    grammars = start(more=100)
    try:
        compiled = grammars.compile(Grammar("json_object")).result(120)
    finally:
        grammars.close()
    bitmask = xgrammar.allocate_token_bitmask(1, VOCAB_SIZE + 100)
    matcher = Matcher(compiled, SMALL, end_ids=frozenset([END_ID]), output_ids=())
    assert matcher.fill_mask(bitmask, 0)
    bits = torch.arange(bitmask.shape[1] * 32)
    allowed = (bitmask[0][bits // 32] >> (bits % 32)) & 1
    assert allowed[:VOCAB_SIZE].any()
    assert not allowed[VOCAB_SIZE:].any()
    assert not matcher.accept(VOCAB_SIZE + 3)


def test_the_child_ends_with_its_parent() -> None:
    code = (
        "import sys; from tests.services.executor.structured_output.conftest import start;"
        "from xylem.shared.protocol import Grammar;"
        "g = start(); g.compile(Grammar('regex', 'a')).result(150); print(g._worker.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    with contextlib.closing(os.fdopen(child, "rb")) as ended:
        assert select.select([ended], [], [], 30)[0], "the child lives on"
