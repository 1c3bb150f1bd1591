"""One tenant floods the system, and another one hardly notices."""

import asyncio
from pathlib import Path

import httpx

from tests.serving import serving
from tests.system.asking import chat_body

FLOODER, OTHER = "sk-flooder-0123456789", "sk-other-0123456789"
NUM_FLOOD = 40


async def ask(http: httpx.AsyncClient, key: str, **fields: object) -> None:
    response = await http.post(
        "/v1/chat/completions", json=chat_body("Tell me a story.", **fields), headers={"x-api-key": key}
    )
    assert response.status_code == 200, response.text


async def test_a_flood_of_one_key_does_not_drown_another(tmp_path: Path) -> None:
    """In order of arrival the other key's first request would end after the whole flood, and its third after that."""
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[flooder]\nkey = "{FLOODER}"\n\n[other]\nkey = "{OTHER}"\n')
    flags = ("--api-keys-file", str(keys), "--max-running", "2", "--ageing-s", "0.1")
    with serving(tmp_path, *flags) as served:
        async with httpx.AsyncClient(base_url=served.url, timeout=120, limits=httpx.Limits()) as http:
            flood = [
                asyncio.create_task(ask(http, FLOODER, max_tokens=100, ignore_eos=True, seed=i))
                for i in range(NUM_FLOOD)
            ]
            await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
            ended_before = sum(task.done() for task in flood)
            for _ in range(3):
                await ask(http, OTHER, max_tokens=5)
            ended = sum(task.done() for task in flood)
            assert ended - ended_before < NUM_FLOOD // 2
            await asyncio.gather(*flood)
