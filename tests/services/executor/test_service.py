import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NatsServer
from tests.fake_runner import FakeRunner, predict
from tests.patience import PATIENCE_S
from tests.services.executor.plans import admit, plan
from xylem.services.executor.service import ExecutorService
from xylem.services.executor.step.runner_interface import ModelRunner
from xylem.shared.model_info.model_card import ModelCard
from xylem.shared.protocol import Control, ControlReply, FinishReason, Plan, Presence, StepReport, TokenDeltas, subjects
from xylem.shared.protocol.columns import unpack
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.service import StartupError, running
from xylem.shared.runtime.settings import ExecutorSettings

MODEL = "fake"
EXECUTOR = "x"


class FakeExecutor(ExecutorService):
    """The service as it is, over a runner that needs no model."""

    def __init__(self, settings: ExecutorSettings, runner: FakeRunner | None = None) -> None:
        super().__init__(settings)
        self.runner = runner or FakeRunner()

    def make_runner(self, card: ModelCard) -> ModelRunner:
        return self.runner


class SlowToLoad(FakeExecutor):
    """Loads until told that it is enough."""

    def __init__(self, settings: ExecutorSettings) -> None:
        super().__init__(settings)
        self.loaded = threading.Event()

    def make_runner(self, card: ModelCard) -> ModelRunner:
        self.loaded.wait(5)
        return self.runner


class NeverLoaded(FakeExecutor):
    """Reports progress until it is stopped."""

    def make_runner(self, card: ModelCard) -> ModelRunner:
        progress = self._stoppable(lambda done, total: None)
        while True:
            progress(0, 1)


class Ears:
    """Everything that a scheduler and a detokenizer would hear of the executor."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.reports: list[StepReport] = []
        self.deltas: list[TokenDeltas] = []
        self.presences: list[Presence] = []
        self._heard = asyncio.Event()

    async def open(self) -> None:
        await self.bus.listen(subjects.steps(MODEL, EXECUTOR), StepReport, self._into(self.reports))
        await self.bus.listen(subjects.detokenizer(MODEL, "d"), TokenDeltas, self._into(self.deltas))
        await self.bus.listen(subjects.presence("executor", EXECUTOR), Presence, self._into(self.presences))
        await self.bus.barrier()

    def _into(self, heard: list[Any]) -> Callable[[Any], Any]:
        async def callback(message: Any) -> None:
            heard.append(message)
            self._heard.set()

        return callback

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._heard.clear()
                await self._heard.wait()

    async def life(self, *, after: int = 0) -> int:
        """The executor's epoch once it is ready in a later life than `after`."""
        await self.until(lambda: any(p.state == "ready" and p.epoch > after for p in self.presences))
        return max(p.epoch for p in self.presences)

    async def send(self, message: Plan) -> None:
        await self.bus.publish(subjects.plan(MODEL, EXECUTOR), message)

    def token_ids(self) -> list[int]:
        return [token_id for deltas in self.deltas for token_id in unpack(deltas.token_ids)]


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    folder = tmp_path / MODEL
    folder.mkdir()
    config = {
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": 1000,
        "max_position_embeddings": 512,
        "eos_token_id": 999,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def settings_for(model_folder: Path, nats_url: str) -> ExecutorSettings:
    """Three beats of standing still begin a new life, to which none of a test's plans belongs: they are long ones."""
    return ExecutorSettings(model=str(model_folder), nats_url=nats_url, id=EXECUTOR, heartbeat_s=2, drain_s=0)


@pytest.fixture
def settings(model_folder: Path, nats_url: str) -> ExecutorSettings:
    return settings_for(model_folder, nats_url)


@pytest.fixture
async def ears(bus: Bus) -> Ears:
    ears = Ears(bus)
    await ears.open()
    return ears


@asynccontextmanager
async def serving(settings: ExecutorSettings, runner: FakeRunner | None = None) -> AsyncIterator[FakeExecutor]:
    service = FakeExecutor(settings, runner)
    async with running(service):
        yield service


async def test_a_plan_gives_reports_and_deltas(settings: ExecutorSettings, ears: Ears) -> None:
    async with serving(settings):
        life = await ears.life()
        await ears.send(plan(0, admit(1, [1, 2], [0, 1, 2], max_new_tokens=8), executor_epoch=life))
        await ears.until(lambda: len(ears.deltas) == 8 and len(ears.reports) == 8)
        assert ears.token_ids() == predict([1, 2], 8)[0]
        assert [list(unpack(deltas.offsets)) for deltas in ears.deltas] == [[i] for i in range(8)]
        assert [len(deltas.starts) for deltas in ears.deltas] == [1] + [0] * 7
        assert [report.step for report in ears.reports] == list(range(8))
        assert {(report.plan_epoch, report.plan, report.epoch) for report in ears.reports} == {(1, 0, life)}
        assert list(unpack(ears.reports[-1].finishes)) == [FinishReason.LENGTH]


async def test_presence_says_what_there_is(settings: ExecutorSettings, ears: Ears) -> None:
    async with serving(settings):
        life = await ears.life()
        ready = next(presence for presence in ears.presences if presence.state == "ready")
        assert ready.capacity is not None
        assert (ready.capacity.num_pages, ready.capacity.page_size) == (64, 4)
        assert (ready.capacity.max_running, ready.capacity.token_budget) == (64, 512)
        assert ready.capacity.group == "default"
        await ears.send(plan(0, admit(1, [1], [0, 5], max_new_tokens=99), executor_epoch=life))
        await ears.until(lambda: (ears.presences[-1].running, ears.presences[-1].free_pages) == (1, 62))
    await ears.until(lambda: ears.presences[-1].state == "bye")


async def test_heartbeats_go_out_while_the_model_is_loading(settings: ExecutorSettings, ears: Ears) -> None:
    service = SlowToLoad(settings.model_copy(update={"heartbeat_s": 0.3}))

    async def serve() -> None:
        async with running(service):
            await service.stopping.wait()

    task = asyncio.create_task(serve())
    await ears.until(lambda: len(ears.presences) >= 3)
    assert {(presence.state, presence.capacity) for presence in ears.presences} == {("starting", None)}
    service.loaded.set()
    await ears.life()
    service.stopping.set()
    await task


async def test_loading_can_be_stopped(settings: ExecutorSettings, ears: Ears) -> None:
    service = NeverLoaded(settings.model_copy(update={"heartbeat_s": 0.3}))

    async def serve() -> None:
        async with running(service):
            pytest.fail("it must not become ready")

    task = asyncio.create_task(serve())
    await ears.until(lambda: len(ears.presences) >= 2)
    service.stopping.set()
    with pytest.RaisesGroup(pytest.RaisesExc(StartupError, match="stopped while the model was loading")):
        await task


async def test_drops_are_acknowledged_when_nothing_runs(settings: ExecutorSettings, ears: Ears) -> None:
    async with serving(settings):
        life = await ears.life()
        await ears.send(plan(0, admit(1, [1], [0], max_new_tokens=99), executor_epoch=life))
        await ears.until(lambda: len(ears.reports) == 4)
        await ears.send(plan(1, drops=[1], executor_epoch=life))
        await ears.until(lambda: ears.reports[-1].plan == 1)
        assert ears.reports[-1].sequence_ids == b""
        assert len(ears.deltas) == 4


async def test_a_gap_begins_a_new_life(settings: ExecutorSettings, ears: Ears) -> None:
    async with serving(settings):
        life = await ears.life()
        await ears.send(plan(0, executor_epoch=life))
        await ears.send(plan(2, admit(1, [1], [0]), executor_epoch=life))
        new_life = await ears.life(after=life)
        await ears.send(plan(3, admit(1, [1], [0]), executor_epoch=life))  # to the old life
        await ears.send(plan(0, admit(2, [7], [0], max_new_tokens=2), epoch=2, executor_epoch=new_life))
        await ears.until(lambda: len(ears.deltas) == 2)
        assert ears.token_ids() == predict([7], 2)[0]
        assert {deltas.epoch for deltas in ears.deltas} == {new_life}


async def test_a_lost_connection_begins_a_new_life(model_folder: Path, own_nats_server: NatsServer) -> None:
    url = own_nats_server.url
    settings = settings_for(model_folder, url)
    bus = await Bus.connect(url, "ears")
    ears = Ears(bus)
    await ears.open()
    async with serving(settings) as service:
        life = await ears.life()
        await ears.send(plan(0, admit(1, [1], [0], max_new_tokens=99), executor_epoch=life))
        await ears.until(lambda: len(ears.reports) == 4)
        own_nats_server.kill()
        await asyncio.to_thread(own_nats_server.start)
        new_life = await ears.life(after=life)
        assert new_life == service.epoch
        await ears.send(plan(0, admit(2, [7], [0], max_new_tokens=2), epoch=2, executor_epoch=new_life))
        await ears.until(lambda: len(ears.reports) == 6)
        assert list(unpack(ears.reports[-1].sequence_ids)) == [2]
    await bus.drain()


async def test_draining_finishes_what_runs(settings: ExecutorSettings, ears: Ears) -> None:
    async with serving(settings.model_copy(update={"drain_s": PATIENCE_S})):
        life = await ears.life()
        await ears.send(plan(0, admit(1, [1], range(60), max_new_tokens=200, ignore_eos=True), executor_epoch=life))
        await ears.until(lambda: len(ears.deltas) > 0)
    await ears.until(lambda: len(ears.deltas) == 200)
    assert ears.token_ids() == predict([1], 200)[0]


async def test_check_answers_with_counts(settings: ExecutorSettings, ears: Ears) -> None:
    async with serving(settings):
        life = await ears.life()
        await ears.send(plan(0, admit(1, [1], [0, 3], max_new_tokens=99), executor_epoch=life))
        await ears.until(lambda: len(ears.reports) == 8)
        reply = await ears.bus.request(subjects.control("executor", EXECUTOR), Control("check"), ControlReply)
        assert reply.ok
        assert json.loads(reply.detail) == {
            "epoch": life,
            "plan_epoch": 1,
            "plan": 0,
            "steps": 8,
            "running": 1,
            "held_pages": 2,
            "total_pages": 64,
        }


async def test_pace_tells_the_time_in_steps_and_between_them(settings: ExecutorSettings, ears: Ears) -> None:
    async with serving(settings):
        life = await ears.life()
        control = subjects.control("executor", EXECUTOR)
        idle = json.loads((await ears.bus.request(control, Control("pace"), ControlReply)).detail)
        assert idle == {"in_steps_s": 0.0, "between_steps_s": 0.0}
        await ears.send(plan(0, admit(1, [1], [0, 3], max_new_tokens=99), executor_epoch=life))
        await ears.until(lambda: len(ears.reports) == 8)
        pace = json.loads((await ears.bus.request(control, Control("pace"), ControlReply)).detail)
        assert pace["in_steps_s"] > 0
        assert pace["between_steps_s"] > 0


async def test_check_says_what_is_wrong(settings: ExecutorSettings, ears: Ears) -> None:
    async with serving(settings):
        life = await ears.life()
        await ears.send(plan(0, admit(1, [1], [0, 0], max_new_tokens=99), executor_epoch=life))
        await ears.until(lambda: len(ears.reports) > 0)
        reply = await ears.bus.request(subjects.control("executor", EXECUTOR), Control("check"), ControlReply)
        assert not reply.ok
        assert "twice in its table" in json.loads(reply.detail)["error"]


async def test_an_unknown_command_is_refused(settings: ExecutorSettings, ears: Ears) -> None:
    async with serving(settings):
        await ears.life()
        reply = await ears.bus.request(subjects.control("executor", EXECUTOR), Control("sing"), ControlReply)
        assert not reply.ok


async def test_a_device_that_breaks_ends_the_service(settings: ExecutorSettings, ears: Ears) -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="the device broke")):
        async with serving(settings, FakeRunner(fail_at=2)) as service:
            life = await ears.life()
            await ears.send(plan(0, admit(1, [1], range(60), max_new_tokens=99), executor_epoch=life))
            await service.stopping.wait()
    await ears.until(lambda: ears.presences[-1].state == "bye")
    assert not any(thread.name == "steps" for thread in threading.enumerate())


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        (None, "is missing"),
        ('{"architectures": ["Llama', "can't be read as JSON"),
        ('{"vocab_size": 10, "max_position_embeddings": 10}', "names no architecture"),
    ],
)
async def test_a_model_that_cannot_be_used_is_a_clear_error(
    settings: ExecutorSettings, model_folder: Path, config: str | None, fault: str
) -> None:
    path = model_folder / "config.json"
    path.unlink()
    if config is not None:
        path.write_text(config)
    with pytest.RaisesGroup(pytest.RaisesExc(StartupError, match=fault)):
        async with serving(settings):
            pytest.fail("it must not become ready")


async def test_no_model_folder_is_a_clear_error(settings: ExecutorSettings, tmp_path: Path) -> None:
    missing = settings.model_copy(update={"model": str(tmp_path / "nowhere")})
    with pytest.RaisesGroup(pytest.RaisesExc(StartupError, match="there is no model folder")):
        async with serving(missing):
            pytest.fail("it must not become ready")
