"""All services with the secrets that containers get, each its own, over TLS: what compose does, without containers."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.conftest import NatsServer
from tests.patience import PATIENCE_S
from tests.serving import ROOT
from tests.system.asking import chat_body
from xylem.shared.runtime.permissions import PARTS
from xylem.shared.runtime.ports import free_port
from xylem.shared.runtime.provision.write import provision

READY_S = 180.0


def environment(root: Path, kind: str, port: int) -> dict[str, str]:
    secrets = root / kind
    keys = {"XYLEM_API_KEYS_FILE": str(secrets / "api-keys.toml"), "XYLEM_PORT": str(port)}
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "XYLEM_ID": "only",
        "XYLEM_NATS_URL_FILE": str(secrets / "nats-url"),
        "XYLEM_NATS_CA_FILE": str(secrets / "ca.crt"),
        **(keys if kind == "gateway" else {}),
    }


@contextlib.contextmanager
def nats_with(root: Path) -> Iterator[NatsServer]:
    """A server with compose's configuration of users and TLS. The files of all holders then name its port."""
    text = (ROOT / "compose" / "nats.conf").read_text().replace("/etc/nats/secrets/", f"{root}/nats/")
    text = text.replace("store_dir: /store", f'store_dir: "{root}/store"')
    own = [line for line in text.splitlines() if not line.startswith(("listen:", "http:", "max_payload:"))]
    folder = root / "conf"
    folder.mkdir()
    (folder / "secrets").symlink_to(root / "nats")
    server = NatsServer(folder, "\n".join(own) + "\n", stores=False)
    for path in root.glob("*/nats-url"):
        path.write_text(path.read_text().replace(":4222", f":{server.port}"))
    server.start()
    try:
        yield server
    finally:
        server.kill()


def wait_ready(url: str, processes: "dict[str, subprocess.Popen[bytes]]") -> None:
    deadline_s = time.monotonic() + READY_S
    while True:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/ready", timeout=PATIENCE_S).status_code == 200:
                return
        ended = [kind for kind, process in processes.items() if process.poll() is not None]
        assert not ended, f"{ended} ended"
        assert time.monotonic() < deadline_s, "not ready in time"
        time.sleep(0.05)  # nobody tells another process


def test_each_service_with_its_own_secrets(tmp_path: Path) -> None:
    root, port = tmp_path / "secrets", free_port()
    provision(root, "127.0.0.1")
    with contextlib.ExitStack() as stack:
        stack.enter_context(nats_with(root))
        processes: dict[str, subprocess.Popen[bytes]] = {}
        logs = {kind: stack.enter_context((tmp_path / f"{kind}.log").open("w+b")) for kind in PARTS}
        try:
            for kind in PARTS:
                command = [sys.executable, "-m", f"xylem.services.{kind}"]
                processes[kind] = subprocess.Popen(
                    command, cwd=ROOT, env=environment(root, kind, port), stdout=logs[kind], stderr=logs[kind]
                )
            url = f"http://127.0.0.1:{port}"
            wait_ready(url, processes)
            body = chat_body("What is the capital of France?")
            assert httpx.post(f"{url}/v1/chat/completions", json=body, timeout=PATIENCE_S).status_code == 401
            key, admin_key = [(root / "operator" / name).read_text() for name in ("api-key", "admin-key")]
            answer = httpx.post(f"{url}/v1/chat/completions", json=body, headers={"x-api-key": key}, timeout=60)
            assert "Paris" in answer.json()["choices"][0]["message"]["content"], answer.text
            listed = httpx.get(f"{url}/admin/services", headers={"x-api-key": admin_key}, timeout=PATIENCE_S).json()[
                "data"
            ]
            assert {each["kind"] for each in listed} >= set(PARTS) - {"gateway"}
            for kind in ("scheduler", "executor", "tokenizer"):
                asked = httpx.post(
                    f"{url}/admin/services/{kind}/only/ping", headers={"x-api-key": admin_key}, timeout=PATIENCE_S
                )
                assert asked.json()["ok"], asked.text
            for kind in PARTS:
                health = subprocess.run(
                    [sys.executable, "-m", "xylem.shared.runtime.health", kind],
                    cwd=ROOT,
                    env=environment(root, kind, port),
                    capture_output=True,
                    text=True,
                )
                assert (health.returncode, health.stdout) == (0, f"{kind} only: ready\n"), health
        finally:
            for process in processes.values():
                process.send_signal(signal.SIGTERM)
            for process in processes.values():
                process.wait(30)
        said = {kind: (tmp_path / f"{kind}.log").read_text() for kind in PARTS}
    secrets = [json.dumps(path.read_text())[1:-1] for path in root.glob("*/*key")]
    for kind, text in said.items():
        assert "may not do what it tried" not in text, f"{kind} was refused something: {text}"
        assert not any(secret in text for secret in secrets)
        password = (root / kind / "nats-url").read_text().split(":")[2].split("@")[0]
        assert password not in text
