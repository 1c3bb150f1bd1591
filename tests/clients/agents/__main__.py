"""Coding agents with a whole task against a scripted server: `python -m tests.clients.agents [--only NAME]`.

Installs each agent at its pinned version, gives it a home and a folder of its own, and looks for the file that the task
asks for. Ends with 1 if one is missing.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.clients.agents.script import FILE
from tests.clients.agents.serving import scripted_server
from tests.clients.agents.table import AGENTS, NODE, Agent
from tests.clients.environments import CACHE, NotInstalled, bare_environment, install_packages

LONGEST_S = 300
NOWHERE = "http://127.0.0.1:9"  # agents must not reach anything but the server


def run_agent(agent: Agent, url: str, folder: Path) -> str:
    """Returns what went wrong; nothing if the agent has written the file."""
    try:
        paths = install_packages(CACHE / f"agent-{agent.name}", agent.language, (agent.package,), node=NODE)
    except NotInstalled as error:
        return f"not installed: {error}"
    home, work = folder / "home", folder / "work"
    home.mkdir(parents=True)
    work.mkdir()
    agent.write_files(home, work, url)
    subprocess.run(["git", "init", "-q", "."], cwd=work, check=True)
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), NOWHERE)
    local = dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost")
    path = bare_environment().get("PATH", "")
    environment = bare_environment(
        **proxies, **local, **agent.variables(url), HOME=str(home), PATH=":".join([*map(str, paths), path])
    )
    command = [next(str(each / agent.command[0]) for each in paths if (each / agent.command[0]).exists())]
    try:
        ended = subprocess.run(
            [*command, *agent.command[1:]],
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
        )
    except subprocess.TimeoutExpired:
        return f"has not ended after {LONGEST_S} s"
    if ended.returncode != 0:
        return f"ended with {ended.returncode}: {(ended.stderr or ended.stdout)[-500:]}"
    return "" if (work / FILE).is_file() else f"no {FILE}: {ended.stdout[-500:]}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.clients.agents")
    parser.add_argument("--only", action="append", choices=[agent.name for agent in AGENTS])
    only = parser.parse_args().only
    table = Table("agent", "package", "", box=None)
    faults = []
    with tempfile.TemporaryDirectory() as name, scripted_server(Path(name)) as url:
        for agent in AGENTS:
            if not only or agent.name in only:
                faults.append(run_agent(agent, url, Path(name) / agent.name))
                table.add_row(agent.name, agent.package, escape(faults[-1] or "done"))
    Console().print(table)
    return 1 if any(faults) else 0


if __name__ == "__main__":
    sys.exit(main())
