"""Two tenants of one system: each has to show its key, and neither sees what the other has in the cache."""

import subprocess
import sys
from pathlib import Path

import httpx

from tests.serving import ROOT, serving
from tests.system.asking import chat_body

ALICE, BOB = "sk-alice-0123456789", "sk-bob-0123456789"
SYSTEM = "You are a helpful assistant. " * 12


def cached_tokens(url: str, key: str) -> int:
    body = chat_body("Hello", max_tokens=4)
    body["messages"] = [{"role": "system", "content": SYSTEM}, *body["messages"]]
    response = httpx.post(f"{url}/v1/chat/completions", json=body, headers={"x-api-key": key}, timeout=30)
    assert response.status_code == 200, response.text
    return int(response.json()["usage"]["prompt_tokens_details"]["cached_tokens"])


def test_tenants(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[alice]\nkey = "{ALICE}"\n\n[bob]\nkey = "{BOB}"\n')
    with serving(tmp_path, "--api-keys-file", str(keys)) as served:
        assert httpx.get(f"{served.url}/v1/models").status_code == 401
        assert cached_tokens(served.url, ALICE) == 0
        assert cached_tokens(served.url, ALICE) > 0
        assert cached_tokens(served.url, BOB) == 0, "bob can tell what alice has asked"
        chat = [sys.executable, "-m", "xylem", "chat", "--url", served.url, "--temperature", "0"]
        for extra, code, said in ((["--api-key", BOB], 0, "Paris"), ([], 1, "no API key was given")):
            run = subprocess.run(
                [*chat, *extra], input="What is the capital of France?\n", capture_output=True, text=True, cwd=ROOT
            )
            assert said in run.stdout + run.stderr
            assert run.returncode == code
        assert not any(key in line for key in (ALICE, BOB) for line in served.output)
