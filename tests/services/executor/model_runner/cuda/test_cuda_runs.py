"""The runner of a GPU, on a stand-in for the device, writes what transformers writes on the same weights."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from msgspec.structs import replace
from transformers import AutoModelForCausalLM

from tests.services.executor.model_runner.cuda.recorded import RecordingDevice
from tests.services.executor.model_runs import GREEDY, engine_of, run
from tests.services.executor.plans import EXECUTOR_EPOCH, admit, plan
from tests.tiny_models import build
from xylem.services.executor.engine.engine import Engine
from xylem.services.executor.model_runner.cpu import CpuModelRunner
from xylem.services.executor.model_runner.cuda.runner import CudaModelRunner
from xylem.services.executor.model_runner.loaded_model import LoadedModel
from xylem.shared.model_info.model_card import ModelCard, ModelError
from xylem.shared.protocol import FinishReason, PageCopy, SamplingParams

pytestmark = pytest.mark.usefixtures("one_thread")

PAGE_SIZE = 4
NUM_PAGES = 96
NUM_NEW = 9
LENGTHS = (1, 3, 4, 5, 8, 13, 16, 21, 30)


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    folder: Path = build("mistral-window", tmp_path_factory.mktemp("models"))
    return ModelCard.load(folder)


@pytest.fixture(scope="module")
def model(card: ModelCard) -> LoadedModel:
    return LoadedModel(card, device=torch.device("cpu"), dtype=torch.float32, kernels="reference")


@pytest.fixture(scope="module")
def device() -> RecordingDevice:
    return RecordingDevice()


@pytest.fixture(scope="module")
def runner(model: LoadedModel, device: RecordingDevice) -> CudaModelRunner:
    return make_runner(model, device)


def make_runner(model: LoadedModel, device: RecordingDevice, **options: Any) -> CudaModelRunner:
    given = {"page_size": PAGE_SIZE, "max_running": 16, "token_budget": 40, "context_length": 64, **options}
    return CudaModelRunner(model, device, **({"num_pages": NUM_PAGES} | given))


@pytest.fixture(scope="module")
def prompts() -> list[list[int]]:
    draw = random.Random(8)
    return [[draw.randrange(3, 320) for _ in range(length)] for length in LENGTHS]


@pytest.fixture(scope="module")
def expected(card: ModelCard, prompts: list[list[int]]) -> list[list[int]]:
    peer = AutoModelForCausalLM.from_pretrained(card.path, dtype=torch.float32)
    answers = []
    for prompt in prompts:
        ids = torch.tensor([prompt])
        output = peer.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=NUM_NEW, min_new_tokens=NUM_NEW,
            eos_token_id=None,
        )  # fmt: skip
        answers.append(output[0, len(prompt) :].tolist())
    return answers


def requests_of(prompts: list[list[int]], **more: Any) -> list[dict[str, Any]]:
    return [{"prompt": prompt, "max_new_tokens": NUM_NEW, **more} for prompt in prompts]


@pytest.mark.parametrize("token_budget", [3, 17, 512])
def test_in_batches_with_chunked_prefill(
    runner: CudaModelRunner,
    device: RecordingDevice,
    prompts: list[list[int]],
    expected: list[list[int]],
    token_budget: int,
) -> None:
    before = device.num_replays
    ran = run(engine_of(runner, token_budget=token_budget), *requests_of(prompts))
    assert [each.token_ids for each in ran] == expected
    assert all(each.finish is FinishReason.LENGTH for each in ran)
    assert device.num_replays > before, "nothing was decoded by a graph"


def test_in_batches_of_every_size(runner: CudaModelRunner, prompts: list[list[int]], expected: list[list[int]]) -> None:
    for count in range(1, len(prompts) + 1):
        ran = run(engine_of(runner), *requests_of(prompts[:count]))
        assert [each.token_ids for each in ran] == expected[:count]


def test_more_rows_than_the_largest_bucket_go_kernel_by_kernel(
    model: LoadedModel, prompts: list[list[int]], expected: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "xylem.services.executor.model_runner.cuda.decode_graphs.capture_sizes", lambda max_rows: [1, 2]
    )
    device = RecordingDevice()
    ran = run(engine_of(make_runner(model, device)), *requests_of(prompts[:5]))
    assert [each.token_ids for each in ran] == expected[:5]
    assert (device.num_captured, device.num_replays) == (4, 0)


def test_nothing_of_a_padding_row_shows(
    runner: CudaModelRunner, prompts: list[list[int]], expected: list[list[int]]
) -> None:
    """Three sequences in a bucket for four, five in one for eight."""
    pool = runner._pool
    with torch.inference_mode():
        for tensor in (*pool.keys, *pool.values):
            tensor[NUM_PAGES * PAGE_SIZE :] = float("nan")
    for count in (3, 5):
        ran = run(engine_of(runner), *requests_of(prompts[:count]))
        assert [each.token_ids for each in ran] == expected[:count]
    for tensor in (*pool.keys, *pool.values):
        assert tensor[: NUM_PAGES * PAGE_SIZE].isfinite().all()


@pytest.mark.parametrize("penalty", [0.0, 1.0], ids=["all in graphs", "beside one that is bent"])
def test_seeded_draws_are_those_of_a_cpu(
    runner: CudaModelRunner, card: ModelCard, prompts: list[list[int]], penalty: float
) -> None:
    peer = CpuModelRunner(card, device="cpu", dtype=torch.float32, page_size=PAGE_SIZE, num_pages=NUM_PAGES, kv_bytes=0)
    samplings = [
        SamplingParams(seed=1),
        SamplingParams(seed=2, temperature=0.6, top_p=0.8),
        SamplingParams(seed=3, temperature=1.4, top_k=9),
        SamplingParams(seed=4, min_p=0.1),
        SamplingParams(seed=5, top_k=40, top_p=0.9, frequency_penalty=penalty),
        GREEDY,
    ]
    requests = [{**each, "sampling": s} for each, s in zip(requests_of(prompts), samplings, strict=False)]
    ours, theirs = (run(engine_of(each, token_budget=20), *requests) for each in (runner, peer))
    assert [each.token_ids for each in ours] == [each.token_ids for each in theirs]


def test_after_cache_hits_of_whole_and_partial_pages(
    runner: CudaModelRunner, prompts: list[list[int]], expected: list[list[int]]
) -> None:
    prompt = prompts[-1]
    engine = engine_of(runner)
    first = admit(0, prompt, range(10), max_new_tokens=NUM_NEW, sampling=GREEDY)
    engine.apply(plan(0, first))
    assert drained(engine) == {0: expected[-1]}
    # Six whole pages and two tokens of the seventh, for one that takes over the slot of the first.
    shared = [*range(6), *range(20, 24)]
    copy = PageCopy(source=6, target=20, num_tokens=2)
    again = admit(1, prompt[26:], shared, num_cached=26, copy=copy, max_new_tokens=NUM_NEW, sampling=GREEDY)
    engine.apply(plan(1, again))
    assert drained(engine) == {1: expected[-1]}


def test_an_end_that_comes_unforeseen_takes_no_token_more(
    runner: CudaModelRunner, prompts: list[list[int]], expected: list[list[int]]
) -> None:
    """The last step of each was launched before its end was known, in batches that shrink."""
    ends = [tokens[place % NUM_NEW] for place, tokens in enumerate(expected[1::2])]
    for end in ends:
        for ran, tokens in zip(run(engine_of(runner, eos=[end]), *requests_of(prompts)), expected, strict=True):
            cut = tokens.index(end) + 1 if end in tokens else NUM_NEW
            assert ran.token_ids == tokens[:cut]


@pytest.mark.parametrize("seed", range(4))
def test_drops_retractions_and_resets_while_steps_are_under_way(
    runner: CudaModelRunner, prompts: list[list[int]], expected: list[list[int]], seed: int
) -> None:
    """A scheduler that takes sequences back at any time, and admits them again with the tokens that it has heard of."""
    draw = random.Random(seed)
    engine = engine_of(runner, token_budget=11)
    table_len = 10
    heard: list[list[int]] = [[] for _ in prompts]
    names: dict[int, int] = {}  # sequence -> prompt
    tables: dict[int, list[int]] = {}
    free = list(range(4 * table_len))  # room for four at once
    next_id, number, epoch = 0, 0, 1
    for _ in range(400):
        if all(len(tokens) == NUM_NEW for tokens in heard):
            break
        drops = [name for name in names if draw.random() < 0.08]
        for name in drops:
            free += tables.pop(names.pop(name))
        if draw.random() < 0.04:
            engine.reset(EXECUTOR_EPOCH)
            names.clear()
            tables.clear()
            free, number, epoch, drops = list(range(4 * table_len)), 0, epoch + 1, []
        admits = []
        waiting = [i for i, tokens in enumerate(heard) if len(tokens) < NUM_NEW and i not in tables]
        while waiting and len(free) >= table_len and draw.random() < 0.8:
            index = waiting.pop(draw.randrange(len(waiting)))
            tables[index], free = free[-table_len:], free[:-table_len]
            read = prompts[index] + heard[index]
            left = NUM_NEW - len(heard[index])
            one = admit(next_id, read, tables[index], max_new_tokens=left, sampling=GREEDY, offset=len(heard[index]))
            admits.append(one)
            names[next_id] = index
            next_id += 1
        assert engine.apply(plan(number, *admits, drops=drops, epoch=epoch))
        number += 1
        for _ in range(draw.randrange(3)):
            output = engine.step()
            engine.check_integrity()
            tokens = iter(output.token_ids)
            for row, name in enumerate(output.sequence_ids):
                new = [next(tokens) for _ in range(output.counts[row])]
                heard[names[name]] += new
                if output.finishes[row]:
                    free += tables.pop(names.pop(name))
    assert heard == expected


def drained(engine: Engine) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    while engine.has_work():
        output = engine.step()
        tokens = iter(output.token_ids)
        for row, name in enumerate(output.sequence_ids):
            found.setdefault(name, []).extend(next(tokens) for _ in range(output.counts[row]))
    return found


def test_the_pool_takes_the_memory_that_is_left(model: LoadedModel) -> None:
    device = RecordingDevice()
    page_bytes = 2 * model.config.num_layers * PAGE_SIZE * model.config.kv_size * 4
    device.total, device.taken = 1000 * page_bytes, 880 * page_bytes
    runner = make_runner(model, device, num_pages=0, memory_fraction=0.9)
    assert runner.num_pages == 20
    assert make_runner(model, device, num_pages=0, kv_bytes=7 * page_bytes + 1).num_pages == 7
    with pytest.raises(ModelError, match=r"the model leaves no room for KV: 0\.8 of the GPU's"):
        make_runner(model, device, num_pages=0, memory_fraction=0.8)


def test_too_many_pages_are_a_clear_error(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: int) -> None:
        raise torch.OutOfMemoryError("tried to allocate 900 GiB")

    monkeypatch.setattr(model, "new_pool", no_memory)
    with pytest.raises(
        ModelError, match=r"9 pages \(kv_pages, .* leave too little memory .*: tried to allocate 900 GiB"
    ):
        make_runner(model, RecordingDevice(), num_pages=9)


def test_a_step_may_be_longer_than_a_context(model: LoadedModel, card: ModelCard) -> None:
    """On a GPU, who looks up a position that is none ends the process."""
    device = RecordingDevice()
    device.total = 1 << 30
    budget = 3 * card.context_length + 5
    runner = make_runner(model, device, num_pages=0, token_budget=budget, context_length=card.context_length)
    assert runner.num_pages > 0


def test_warming_up_writes_to_nobodys_page_only(model: LoadedModel) -> None:
    runner = make_runner(model, RecordingDevice())
    for pool in (*runner._pool.keys, *runner._pool.values):
        assert pool[: NUM_PAGES * PAGE_SIZE].count_nonzero() == 0
        assert pool[NUM_PAGES * PAGE_SIZE :].count_nonzero() > 0


def test_graphs_are_captured_largest_first_and_told(model: LoadedModel) -> None:
    told: list[tuple[int, int]] = []
    make_runner(model, RecordingDevice(), max_running=3, progress=lambda *done: told.append(done))
    assert told == [(done, 6) for done in range(7)]


def test_scores_and_bends_leave_others_alone(
    runner: CudaModelRunner, prompts: list[list[int]], expected: list[list[int]]
) -> None:
    """One bent row has all of its step drawn by the host's leave."""
    bent = {**requests_of(prompts)[0], "sampling": replace(GREEDY, presence_penalty=2.0)}
    ran = run(engine_of(runner), bent, *requests_of(prompts[1:]))
    assert [each.token_ids for each in ran[1:]] == expected[1:]
    assert len(set(ran[0].token_ids)) == NUM_NEW
