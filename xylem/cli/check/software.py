"""The packages, torch with its devices, and the NATS server."""

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from xylem.cli.check.finding import Finding
from xylem.cli.extras import INSTALL
from xylem.cli.serve import nats_server

DISTRIBUTION = "xylem-serve"
CHECKOUT = Path(__file__).resolve().parents[3]
TORCH_S = 120.0  # its first import from a cold disk takes long

# In a process of its own: only the executor may load torch.
_TORCH = """
import json, torch
gpus = []
for i in range(torch.cuda.device_count()):
    p = torch.cuda.get_device_properties(i)
    gpus.append([p.name, p.total_memory, f"{p.major}.{p.minor}"])
found = {"version": torch.__version__, "threads": torch.get_num_threads(), "cuda": torch.version.cuda, "gpus": gpus}
print(json.dumps(found))
"""


def packages(checkout: Path = CHECKOUT) -> Finding:
    """Returns whether the packages of a client and those of the light services are here."""
    client, services = _requirements(checkout)
    of_client, missing = _versions(client)
    of_services, missing_to_serve = _versions(services)
    advice = f"{INSTALL} puts them here"
    if missing:
        return Finding("Packages", "fail", f"missing: {', '.join(missing + missing_to_serve)}", advice)
    if missing_to_serve:
        return Finding("Packages", "warn", f"a client; missing to serve: {', '.join(missing_to_serve)}", advice)
    return Finding("Packages", "ok", ", ".join(of_client + of_services))


def _versions(requirements: list[str]) -> tuple[list[str], list[str]]:
    """Returns name and version of those that are installed, and the names of the others."""
    versions: list[str] = []
    missing: list[str] = []
    for requirement in requirements:
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    return versions, missing


def _requirements(checkout: Path) -> tuple[list[str], list[str]]:
    """Returns the requirements of a client and of `services`: of what is installed, or of this checkout."""
    try:
        lines = importlib.metadata.requires(DISTRIBUTION) or []
        return (
            [line for line in lines if "extra ==" not in line],
            [line for line in lines if re.search(r"extra == .services.", line)],
        )
    except importlib.metadata.PackageNotFoundError:
        project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return list(project["dependencies"]), list(project.get("optional-dependencies", {}).get("services", []))


def torch() -> list[Finding]:
    """Its version and devices. Without it this machine can run the other five services."""
    light = f"the five light services run, the executor does not: {INSTALL}"
    try:
        said = subprocess.run([sys.executable, "-c", _TORCH], capture_output=True, text=True, timeout=TORCH_S)
    except subprocess.TimeoutExpired:
        return [Finding("torch", "fail", f"did not load within {TORCH_S:g} s", "install it again")]
    if said.returncode != 0:
        lines = said.stderr.strip().splitlines() or ["no message"]
        if "No module named 'torch'" in lines[-1]:
            return [Finding("torch", "warn", "not installed", light)]
        return [Finding("torch", "fail", lines[-1], "install it again")]
    found = json.loads(said.stdout.strip().splitlines()[-1])
    findings = [Finding("torch", "ok", f"{found['version']}, {found['threads']} threads")]
    for index, (name, memory, capability) in enumerate(found["gpus"]):
        detail = f"{name}, {memory / (1 << 30):.0f} GiB, compute capability {capability}, CUDA {found['cuda']}"
        findings.append(Finding(f"cuda:{index}", "ok", detail))
    if not found["gpus"]:
        findings.append(Finding("CUDA", "ok", "no device: models run on the CPU"))
    return findings


def nats() -> Finding:
    """The server that `xylem serve` starts."""
    try:
        binary = nats_server.find()
        return Finding("nats-server", "ok", f"{nats_server.version(binary)} at {binary}")
    except nats_server.NatsServerError as error:
        return Finding("nats-server", "fail", str(error), f"{nats_server.INSTALL}")
