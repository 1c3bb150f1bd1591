"""`python -m xylem.services.executor` as a process: a real model over the bus, and the ways in which it can't start."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.services.executor.plans import admit, plan
from tests.tiny_models import build
from xylem.shared.protocol import Presence, SamplingParams, TokenDeltas, subjects
from xylem.shared.protocol.columns import unpack
from xylem.shared.runtime.bus import Bus

START_S = 60
ROOT = Path(__file__).resolve().parents[3]


@asynccontextmanager
async def process(folder: Path, nats_url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    arguments = ["--model", str(folder), "--served-name", "m", "--nats-url", nats_url, "--id", "p", "--kv-pages", "64"]
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "xylem.services.executor", *arguments,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()


async def end_of(running: asyncio.subprocess.Process) -> tuple[int | None, str]:
    """Exit status and what was logged."""
    _, errors = await asyncio.wait_for(running.communicate(), START_S)
    return running.returncode, errors.decode()


async def test_a_plan_runs_on_a_real_model_and_sigterm_ends_it(tmp_path: Path, nats_url: str, bus: Bus) -> None:
    ready: asyncio.Future[Presence] = asyncio.get_running_loop().create_future()
    tokens: list[int] = []
    last = asyncio.Event()

    async def on_presence(presence: Presence) -> None:
        if presence.state == "ready" and not ready.done():
            ready.set_result(presence)

    async def on_deltas(deltas: TokenDeltas) -> None:
        tokens.extend(unpack(deltas.token_ids))
        if any(unpack(deltas.finishes)):
            last.set()

    await bus.listen(subjects.presence("executor", "p"), Presence, on_presence)
    await bus.listen(subjects.detokenizer("m", "d"), TokenDeltas, on_deltas)
    await bus.barrier()
    async with process(await asyncio.to_thread(build, "llama", tmp_path), nats_url) as running:
        presence = await asyncio.wait_for(ready, START_S)
        assert presence.capacity is not None
        assert presence.capacity.num_pages == 64
        greedy = SamplingParams(temperature=0.0)
        request = admit(1, range(3, 40), range(4), max_new_tokens=8, sampling=greedy, ignore_eos=True)
        await bus.publish(subjects.plan("m", "p"), plan(0, request, executor_epoch=presence.epoch))
        await asyncio.wait_for(last.wait(), START_S)
        assert len(tokens) == 8
        running.send_signal(signal.SIGTERM)
        status, log = await end_of(running)
        assert status == 0
        assert [line.rsplit(" ", 2)[1] for line in log.splitlines() if "loading" in line] == [
            "0",
            "25",
            "50",
            "75",
            "100",
        ]


def missing(folder: Path) -> Path:
    return folder / "nowhere"


def truncated(folder: Path) -> Path:
    built = build("llama", folder)
    weights = built / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    return built


def unknown(folder: Path) -> Path:
    config = {"architectures": ["MambaForCausalLM"], "vocab_size": 10, "max_position_embeddings": 10}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("break_it", "complaint"),
    [(missing, "there is no model folder"), (truncated, "may be truncated"), (unknown, "MambaForCausalLM")],
)
async def test_a_model_that_cannot_be_used_ends_the_process_with_a_clear_message(
    break_it: Callable[[Path], Path], complaint: str, tmp_path: Path, nats_url: str
) -> None:
    async with process(await asyncio.to_thread(break_it, tmp_path), nats_url) as running:
        status, log = await end_of(running)
    assert status == 1
    assert complaint in log
    assert "Traceback" not in log
