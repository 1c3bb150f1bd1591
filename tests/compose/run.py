"""Runs the deployment for real: `python tests/compose/run.py [--offline] [--keep] [--no-build]`.

Builds the images, brings compose/compose.yaml up under a project name of its own, sends a chat request, scales three
services, sends more, kills a process of each, takes all down and looks for what was left. Needs a container engine with
Compose 2.24 or newer, and httpx. Prints what each step took, the image sizes, and the memory of each container.

--offline is for a machine that reaches no image registry: it takes torch's wheel from /opt/wheels and puts wget, which
the real nats:2.11-alpine has, into a stand-in image that lacks it.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "xylem-compose-test"
SCALED = ("gateway", "tokenizer", "detokenizer", "executor")
WHEELS = Path("/opt/wheels")
NATS = "nats:2.11-alpine"
BEGAN_S = time.monotonic()


def say(text: str) -> None:
    print(f"{time.monotonic() - BEGAN_S:6.1f} s  {text}", flush=True)


def run(*command: str, check: bool = True, environment: dict[str, str] | None = None) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    if check and ended.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{ended.stdout}{ended.stderr}")
    return ended.stdout.strip()


class Deployment:
    """The project under a name and port of its own."""

    def __init__(self, build_arguments: dict[str, str]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        # Two executors on one small machine: a thread each, or they keep each other waiting.
        self._environment = {"XYLEM_PORT": str(self.port), "XYLEM_THREADS": "1", **build_arguments}
        self.headers: dict[str, str] = {}  # with the key that was made at the first start

    def compose(self, *arguments: str, check: bool = True) -> str:
        file = str(ROOT / "compose" / "compose.yaml")
        return run(
            "docker", "compose", "-p", PROJECT, "-f", file, *arguments, check=check, environment=self._environment
        )

    def read_key(self) -> None:
        key = self.compose("run", "--rm", "--no-deps", "secrets", "show", "api-key").splitlines()[-1]
        self.headers = {"authorization": f"Bearer {key}"}

    def containers(self, service: str) -> list[str]:
        return self.compose("ps", "-q", service).split()

    def up(self, *arguments: str) -> None:
        """Up and healthy, or a report of why not."""
        try:
            self.compose("up", "-d", "--wait", "--wait-timeout", "300", *arguments)
        except SystemExit:
            print(self.compose("ps", "-a", check=False), self.compose("logs", "--tail", "30", check=False), sep="\n")
            raise


def ask(deployment: Deployment, question: str, **fields: Any) -> str:
    body = {"model": "demonstration", "messages": [{"role": "user", "content": question}], "temperature": 0, **fields}
    address = f"{deployment.url}/v1/chat/completions"
    answer = httpx.post(address, json=body, headers=deployment.headers, timeout=60, trust_env=False)
    if answer.status_code != 200:
        raise SystemExit(f"{question!r} was answered {answer.status_code}: {answer.text}")
    return str(answer.json()["choices"][0]["message"]["content"])


def wait_ready(deployment: Deployment, timeout_s: float = 60.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(httpx.TransportError):
            answer = httpx.get(f"{deployment.url}/ready", timeout=5, trust_env=False)
            if answer.status_code == 200:
                return
        if time.monotonic() > deadline_s:
            raise SystemExit(f"not ready within {timeout_s:g} s")
        time.sleep(0.05)  # across a container's border there is nobody to wake us


def inspect(container: str, format_: str) -> str:
    return run("docker", "inspect", "-f", format_, container)


def healthy(container: str) -> bool:
    return inspect(container, "{{.State.Health.Status}}") == "healthy"


def kill_one_of_each(deployment: Deployment) -> None:
    """SIGKILL to the service itself: `docker kill` counts as a wish to stop it, which no restart follows."""
    victims = [deployment.containers(service)[0] for service in SCALED]
    before = {victim: inspect(victim, "{{.State.StartedAt}}") for victim in victims}
    for victim in victims:
        os.kill(int(inspect(victim, "{{.State.Pid}}")), signal.SIGKILL)
    say(f"killed one {', one '.join(SCALED)}; the others answer: {ask(deployment, 'What is the capital of Italy?')!r}")
    deadline_s = time.monotonic() + 60
    for victim in victims:
        while inspect(victim, "{{.State.StartedAt}}") == before[victim] or not healthy(victim):
            if time.monotonic() > deadline_s:
                raise SystemExit("what was killed did not come back healthy within 60 s")
            time.sleep(0.2)
    say("all were restarted and are healthy")


def check_secrets(deployment: Deployment) -> None:
    """Each service sees its own only, and another run changes nothing."""
    seen = deployment.compose("exec", "-T", "tokenizer", "ls", "/secrets").split()
    assert seen == ["ca.crt", "nats-url"], seen
    assert "secrets are there" in deployment.compose("run", "--rm", "--no-deps", "secrets")
    logs = deployment.compose("logs", "--no-color")
    assert "may not do what it tried" not in logs, "the table of permissions lacks something"
    assert deployment.headers["authorization"].split()[1] not in logs
    say("secrets: made once, seen by whom they concern, in no log; nobody was refused anything on the bus")


def sizes() -> None:
    for name in ("xylem-light", "xylem-executor", "xylem-proxy"):
        size = int(run("docker", "image", "inspect", "-f", "{{.Size}}", f"{name}:{os.environ.get('IMAGE_TAG', 'dev')}"))
        say(f"image {name}: {size / 1e6:.0f} MB")


def memory(deployment: Deployment) -> None:
    rows = run("docker", "stats", "--no-stream", "--format", "{{json .}}", *deployment.compose("ps", "-q").split())
    for row in sorted(map(json.loads, rows.splitlines()), key=lambda row: str(row["Name"])):
        say(f"memory {row['Name'].removeprefix(PROJECT + '-'):<14} {row['MemUsage']}")


def leftovers() -> list[str]:
    mine = ("--filter", f"label=com.docker.compose.project={PROJECT}", "-q")
    kinds: dict[str, Any] = {"container": ("ps", "-a"), "volume": ("volume", "ls"), "network": ("network", "ls")}
    return [f"{kind} {item}" for kind, words in kinds.items() for item in run("docker", *words, *mine).split()]


@contextlib.contextmanager
def wheel_server() -> Iterator[dict[str, str]]:
    """The wheels of this machine, where a build can reach them. Yields the build's variables."""
    gateway = run("docker", "network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer((gateway, 0), partial(Quiet, directory=str(WHEELS)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    yield {"PIP_FIND_LINKS": f"http://{gateway}:{port}/", "PIP_TRUSTED_HOST": gateway, "PIP_EXTRA_INDEX_URL": ""}
    server.shutdown()


def complete_nats_stand_in() -> None:
    probe = ("docker", "run", "--rm", "--entrypoint", "sh", NATS, "-c", "command -v wget || true")
    if not run(*probe):
        script = (
            f"FROM {NATS}\nUSER root\nRUN apt-get update -qq && apt-get install -y -qq --no-install-recommends wget\n"
        )
        subprocess.run(
            ["docker", "build", "-q", "-t", NATS, "-"], input=script, text=True, check=True, capture_output=True
        )
        say(f"put wget into the stand-in for {NATS}")


def story(deployment: Deployment, *, build: bool) -> None:
    if build:
        deployment.compose("build")
        say("built")
    sizes()
    began_s = time.monotonic()
    deployment.up()
    wait_ready(deployment)
    say(f"up, healthy and ready {time.monotonic() - began_s:.1f} s after `up`")
    assert httpx.get(f"{deployment.url}/v1/models", trust_env=False).status_code == 401, "nobody asked for a key"
    deployment.read_key()
    say(f"answer: {ask(deployment, 'What is the capital of France?')!r}")
    written = ask(deployment, "A number?", regex="[0-9]{4}-[a-f]{2}")
    if not re.fullmatch("[0-9]{4}-[a-f]{2}", written):
        raise SystemExit(f"{written!r} does not keep to its grammar")
    say(f"answer under a grammar: {written!r}")
    began_s = time.monotonic()
    deployment.up(*(word for service in SCALED for word in ("--scale", f"{service}=2")))
    wait_ready(deployment)
    counts = {service: len(deployment.containers(service)) for service in SCALED}
    assert set(counts.values()) == {2}, counts
    say(f"two of {', '.join(SCALED)} after {time.monotonic() - began_s:.1f} s")
    for number in range(3, 9):
        ask(deployment, f"What is {number} plus 2?")
    say("six more answers")
    memory(deployment)
    kill_one_of_each(deployment)
    check_secrets(deployment)
    say(f"answer: {ask(deployment, 'What is the capital of Spain?')!r}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--offline", action="store_true", help="no image registry; torch from /opt/wheels")
    parser.add_argument("--no-build", action="store_true", help="take the images that are there")
    parser.add_argument("--keep", action="store_true", help="leave it running")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        arguments: dict[str, str] = {}
        if options.offline:
            complete_nats_stand_in()
            arguments = stack.enter_context(wheel_server())
        deployment = Deployment(arguments)
        try:
            story(deployment, build=not options.no_build)
        finally:
            if options.keep:
                say(f"left running on {deployment.url}; end it with: docker compose -p {PROJECT} down -v")
            else:
                began_s = time.monotonic()
                deployment.compose("down", "-v")
                say(f"down after {time.monotonic() - began_s:.1f} s")
    left = [] if options.keep else leftovers()
    say(f"left behind: {', '.join(left) or 'nothing'}")
    return int(bool(left))


if __name__ == "__main__":
    sys.exit(main())
