"""The agents: what is installed for each, how it is pointed at a server, and the command that gives it a task."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.clients.agents.script import FILE

MODEL = "scripted"
TASK = "Write a file."

# Node's own package, since many systems have an older one than the agents need. Newest on 2026-11-28.
NODE = "node@24.21.0"

Files = dict[str, str]  # by path below the agent's home, or its working folder


@dataclass(frozen=True)
class Agent:
    """`package` is a requirement for npm, or for pip. Files and variables are made for the URL of a server."""

    name: str
    package: str
    command: tuple[str, ...]
    language: str = "node"
    variables: Callable[[str], Mapping[str, str]] = lambda url: {}
    home_files: Callable[[str], Files] = lambda url: {}
    files: Callable[[str], Files] = field(default=lambda url: {})

    def write_files(self, home: Path, work: Path, url: str) -> None:
        """Writes what the agent reads of its configuration."""
        for folder, files in ((home, self.home_files(url)), (work, self.files(url))):
            for name, text in files.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)


def _claude(url: str) -> Mapping[str, str]:
    models = {"ANTHROPIC_MODEL": MODEL, "ANTHROPIC_SMALL_FAST_MODEL": MODEL}
    quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    return {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "none", **models, **quiet}


def _codex(url: str) -> Files:
    provider = f'[model_providers.xylem]\nname = "xylem"\nbase_url = "{url}/v1"\nwire_api = "responses"\n'
    return {".codex/config.toml": f'model = "{MODEL}"\nmodel_provider = "xylem"\n{provider}'}


def _opencode(url: str) -> Files:
    options = {"baseURL": f"{url}/v1", "apiKey": "none"}
    provider = {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {MODEL: {"name": MODEL}}}
    return {"opencode.json": json.dumps({"provider": {"xylem": provider}, "permission": {"bash": "allow"}})}


def _pi(url: str) -> Files:
    model = {"id": MODEL, "name": MODEL, "contextWindow": 200_000, "maxTokens": 32_000}
    provider = {"baseUrl": f"{url}/v1", "api": "openai-completions", "apiKey": "none", "models": [model]}
    return {".pi/agent/models.json": json.dumps({"providers": {"xylem": provider}})}


def _openai(url: str) -> Mapping[str, str]:
    base = f"{url}/v1"
    return {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": base, "OPENAI_API_BASE": base, "OPENAI_MODEL": MODEL}


CODEX = "codex exec --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox"
AIDER = (
    "aider --edit-format whole --yes-always --no-show-model-warnings --no-check-update --no-analytics"
    f" --no-auto-commits --no-gitignore --model openai/{MODEL} {FILE} --message"
)

# Each was the newest version on 2026-11-28.
AGENTS: tuple[Agent, ...] = (
    Agent(
        "claude-code",
        "@anthropic-ai/claude-code@2.1.332",
        ("claude", "--allowedTools", "Bash", "-p", TASK),
        variables=_claude,
    ),
    Agent("codex", "@openai/codex@0.171.0", (*CODEX.split(), TASK), home_files=_codex),
    Agent("opencode", "opencode-ai@1.18.33", ("opencode", "run", "-m", f"xylem/{MODEL}", TASK), files=_opencode),
    Agent(
        "pi",
        "@mariozechner/pi-coding-agent@0.73.1",
        ("pi", "--provider", "xylem", "--model", MODEL, "-p", TASK),
        home_files=_pi,
    ),
    Agent(
        "qwen-code",
        "@qwen-code/qwen-code@0.24.4",
        ("qwen", "--auth-type", "openai", "--yolo", "-p", TASK),
        variables=_openai,
    ),
    Agent("aider", "aider-chat==0.86.2", (*AIDER.split(), TASK), language="python", variables=_openai),
)
