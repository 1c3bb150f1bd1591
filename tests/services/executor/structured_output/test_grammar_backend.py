"""The child that compiles: real, killable, limited, and gone with its parent."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import torch

from tests.services.executor.structured_output.conftest import END_ID, VOCAB_SIZE, start
from xylem.services.executor.structured_output import GrammarBackend, GrammarFailed, Matcher
from xylem.services.executor.structured_output.compile_messages import CompilerStart
from xylem.services.executor.structured_output.compiler_process import CompilerProcess, CompilerStalled
from xylem.shared.protocol import Grammar

ROOT = Path(__file__).resolve().parents[4]
SMALL = Grammar("regex", "[0-9]+")
# Thousands of rules: seconds on any machine.
HOSTILE = Grammar("json_schema", json.dumps({"type": "object", "properties": {
    f"o{a}": {"type": "object", "properties": {f"{a} {b}": {"type": "string"} for b in range(400)}} for a in range(12)
}}), param="guided_json")  # fmt: skip


def pids(grammars: GrammarBackend) -> list[int]:
    return [process.pid for process in grammars._processes]


def test_a_compiled_grammar_comes_back_whole(grammars: GrammarBackend) -> None:
    compiled = grammars.compile(Grammar("json_object")).result(120)
    assert compiled.num_bytes > 0
    bitmask = torch.zeros((1, -(-VOCAB_SIZE // 32)), dtype=torch.int32)
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
    grammars = start(cache_bytes=1_000_000)
    try:
        first = grammars.compile(SMALL).result(120)
        for n in range(12):
            grammars.compile(Grammar("regex", f"[a-z]+{n}[0-9]*")).result(120)
        assert grammars._cached_bytes <= 1_000_000
        assert grammars.compile(SMALL).result(120) is not first
    finally:
        grammars.close()


def test_quick_grammars_do_not_wait_behind_slow_ones() -> None:
    grammars = start(timeout_s=600, quick_s=1)
    try:
        grammars.compile(SMALL).result(120)
        slow = [
            grammars.compile(msgspec.structs.replace(HOSTILE, text=HOSTILE.text + " " * n), "greedy") for n in range(3)
        ]
        quick = [grammars.compile(Grammar("regex", f"[a-z]{{{n}}}"), client) for n in (1, 2) for client in ("a", "b")]
        for future in quick:
            assert future.result(60).num_bytes > 0
        assert not all(future.done() for future in slow)
    finally:
        grammars.close()


def test_a_hostile_grammar_fails_alone_and_is_not_remembered() -> None:
    grammars = start(timeout_s=1, quick_s=0.5)
    try:
        grammars.compile(SMALL).result(120)
        with pytest.raises(GrammarFailed, match="takes too long to compile") as failed:
            grammars.compile(HOSTILE).result(120)
        assert (failed.value.param, failed.value.code) == ("guided_json", "unavailable")
        assert not grammars.compile(HOSTILE).done()
        assert grammars.compile(Grammar("regex", "[a-z]")).result(120).num_bytes > 0
    finally:
        grammars.close()


def test_a_process_that_stands_still_is_replaced() -> None:
    process = CompilerProcess(CompilerStart([*(bytes((i,)) for i in range(256)), b""], 257, [256], 1 << 30))
    try:
        process.start()
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(CompilerStalled):
            process.compile("regex", "a+", 0.2)
        assert process.compile("regex", "a+", 60)[0] == "lark"
    finally:
        process.kill()


def test_many_properties_are_no_hard_work(grammars: GrammarBackend) -> None:
    properties = {f"name {n}": {"type": "string"} for n in range(400)}
    schema = json.dumps({"type": "object", "properties": properties, "additionalProperties": False})
    assert grammars.compile(Grammar("json_schema", schema)).result(120).num_bytes > 0
    with pytest.raises(GrammarFailed, match="more than 500 properties") as failed:
        more = {"type": "object", "properties": {str(n): {} for n in range(501)}}
        grammars.compile(Grammar("json_schema", json.dumps(more))).result(120)
    assert failed.value.code == "invalid_request"


def test_a_greedy_grammar_fails_alone() -> None:
    grammars = start(memory_bytes=60 << 20, quick_s=60, timeout_s=60)
    try:
        with pytest.raises(GrammarFailed, match="needs too much memory") as failed:
            grammars.compile(Grammar("json_schema", json.dumps({"const": "a" * (24 << 20)}))).result(120)
        assert failed.value.code == "invalid_request"
        assert grammars.compile(SMALL).result(120).num_bytes > 0
    finally:
        grammars.close()


def test_a_child_that_was_killed_is_replaced() -> None:
    grammars = start()
    try:
        grammars.compile(SMALL).result(120)
        for child in [pid for pid in pids(grammars) if pid]:
            os.kill(child, signal.SIGKILL)
            os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert grammars.compile(Grammar("regex", "[a-z]")).result(120).num_bytes > 0
    finally:
        grammars.close()


def test_who_kills_a_compile_is_not_the_grammar() -> None:
    grammars = start(timeout_s=100, quick_s=100)
    try:
        grammars.compile(SMALL).result(120)
        hostile = grammars.compile(HOSTILE)
        for child in [pid for pid in pids(grammars) if pid]:
            os.kill(child, signal.SIGKILL)
        with pytest.raises(GrammarFailed) as failed:
            hostile.result(120)
        assert failed.value.code == "unavailable"
        assert not grammars.compile(HOSTILE).done()
    finally:
        grammars.close()


def test_closing_ends_what_waits() -> None:
    grammars = start(timeout_s=100)
    grammars.compile(SMALL).result(120)
    children = [pid for pid in pids(grammars) if pid]
    waiting = [grammars.compile(HOSTILE), grammars.compile(msgspec.structs.replace(HOSTILE, text=HOSTILE.text + " "))]
    grammars.close()
    for future in waiting:
        with pytest.raises(GrammarFailed) as failed:
            future.result(10)
        assert failed.value.code == "unavailable"
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)
    with pytest.raises(GrammarFailed, match="ending"):
        grammars.compile(Grammar("regex", "late")).result(1)


def test_logits_beyond_the_tokenizer_are_never_allowed() -> None:
    grammars = start(more=100)
    try:
        compiled = grammars.compile(Grammar("json_object")).result(120)
    finally:
        grammars.close()
    bitmask = torch.zeros((1, -(-(VOCAB_SIZE + 100) // 32)), dtype=torch.int32)
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
        "g = start(); g.compile(Grammar('regex', 'a')).result(150);"
        "print(max(p.pid for p in g._processes), flush=True); sys.stdin.read()"
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
