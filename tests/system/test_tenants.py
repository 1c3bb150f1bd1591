"""Two tenants of one system: each has to show its key, and neither sees what the other has in the cache."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.patience import PATIENCE_S
from tests.serving import ROOT, serving
from tests.system.asking import chat_body

ALICE, BOB, CAROL = "sk-alice-0123456789", "sk-bob-0123456789", "sk-carol-0123456789"
SYSTEM = "You are a helpful assistant. " * 12


def cached_tokens(url: str, key: str, **fields: Any) -> int:
    body = chat_body("Hello", max_tokens=4, **fields)
    body["messages"] = [{"role": "system", "content": SYSTEM}, *body["messages"]]
    response = httpx.post(f"{url}/v1/chat/completions", json=body, headers={"x-api-key": key}, timeout=30)
    assert response.status_code == 200, response.text
    return int(response.json()["usage"]["prompt_tokens_details"]["cached_tokens"])


def resumed(url: str, key: str, last_id: str = "", prompt: str = "Tell me a long story.") -> tuple[str, str]:
    """A stream, or the rest of one: its text, and the id of its first event."""
    body = chat_body(prompt, stream=True, stream_options={"event_ids": True}, seed=3, temperature=1)
    headers = {"x-api-key": key} | ({"Last-Event-ID": last_id} if last_id else {})
    text, first_id = "", ""
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=body, headers=headers, timeout=30) as response:
        assert response.status_code == 200, response.read()
        for line in response.iter_lines():
            if line.startswith("id: "):
                first_id = first_id or line[4:]
            elif line.startswith("data: {"):
                text += json.loads(line[6:])["choices"][0]["delta"].get("content") or ""
    return text, first_id


def test_tenants(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(
        f'[alice]\nkey = "{ALICE}"\n\n[bob]\nkey = "{BOB}"\n\n[carol]\nkey = "{CAROL}"\nshared_cache = true\n'
    )
    with serving(tmp_path, "--api-keys-file", str(keys)) as served:
        assert httpx.get(f"{served.url}/v1/models", timeout=PATIENCE_S).status_code == 401
        assert cached_tokens(served.url, ALICE) == 0
        assert cached_tokens(served.url, ALICE) > 0
        assert cached_tokens(served.url, BOB) == 0, "bob can tell what alice has asked"
        for salt in ("alice", "alice\n"):
            assert cached_tokens(served.url, CAROL, cache_salt=salt) == 0, "carol can make up a salt of alice's"
        hers, her_id = resumed(served.url, ALICE)
        rest, _ = resumed(served.url, ALICE, her_id)
        assert rest
        assert hers.endswith(rest), "alice reads on where she was"
        his, _ = resumed(served.url, BOB, her_id, "Count from 3 to 7.")
        assert his
        assert his not in hers, "with the id of her answer bob reads hers"
        chat = [sys.executable, "-m", "xylem", "chat", "--url", served.url, "--temperature", "0"]
        for extra, code, said in ((["--api-key", BOB], 0, "Paris"), ([], 1, "no API key was given")):
            run = subprocess.run(
                [*chat, *extra], input="What is the capital of France?\n", capture_output=True, text=True, cwd=ROOT
            )
            assert said in run.stdout + run.stderr
            assert run.returncode == code
        assert not any(key in line for key in (ALICE, BOB) for line in served.output)
