"""Peers made ready: installed, given the weights in their form, and run as children."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.children import Talking, process, talking
from benchmarks.environments import NotInstalled, bare_environment, python_with
from benchmarks.peers import llama_cpp, llama_server, openvino, transformers
from benchmarks.peers.protocol import MODEL_NAME, About
from benchmarks.readiness import wait_until_ready
from benchmarks.stream import Target
from benchmarks.systems import READY_S, ROOT
from xylem.shared.runtime.ports import free_port

PEERS: dict[str, About] = {
    "openvino": openvino.ABOUT,
    "llama_cpp": llama_cpp.ABOUT,
    "llama_server": llama_server.ABOUT,
    "transformers": transformers.ABOUT,
}


@dataclass(frozen=True)
class Rival:
    """A peer in one form of the weights, ready to run. name: such as openvino or llama_cpp-q8_0."""

    name: str
    about: About
    command: tuple[str, ...]
    where: tuple[str, str, str]

    @contextmanager
    def engine(self) -> Iterator[Talking]:
        with talking([*self.command, "engine", *self.where], _environment()) as side:
            yield side

    @contextmanager
    def server(self) -> Iterator[Target]:
        port = free_port()
        with process([*self.command, "serve", *self.where, str(port)], _environment()) as child:
            wait_until_ready(child, port, timeout_s=READY_S, path=self.about.ready_path)
            yield Target(f"http://127.0.0.1:{port}", self.served_name)

    @property
    def served_name(self) -> str:
        """transformers knows no other name for a model than its folder."""
        return self.where[0] if self.name.startswith("transformers") else MODEL_NAME


def names() -> list[str]:
    """Every peer in every form: the plain name is the first form, which is bfloat16."""
    return [_name(peer, variant) for peer in PEERS for variant in PEERS[peer].variants]


def made_ready(name: str, model: Path, folder: Path) -> Rival:
    """Installs and prepares what is missing. Raises NotInstalled with the reason."""
    peer, _, variant = name.partition("-")
    about = PEERS[peer]
    variant = variant or about.variants[0]
    python = python_with(about.requirements, about.without, folder)
    work = folder / f"{peer}-files"
    work.mkdir(parents=True, exist_ok=True)
    command = (str(python), "-m", f"benchmarks.peers.{peer}")
    where = (str(model), str(work), variant)
    prepared = subprocess.run([*command, "prepare", *where], env=_environment(), capture_output=True, text=True)
    if prepared.returncode != 0:
        raise NotInstalled((prepared.stderr or prepared.stdout).strip()[-500:])
    return Rival(name, about, command, where)


def _environment() -> dict[str, str]:
    return bare_environment(PYTHONPATH=str(ROOT))


def _name(peer: str, variant: str) -> str:
    return peer if variant == PEERS[peer].variants[0] else f"{peer}-{variant}"
