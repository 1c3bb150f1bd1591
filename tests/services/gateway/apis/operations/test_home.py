"""The page at /."""

import re
from pathlib import Path
from typing import Any

import httpx

from tests.patience import PATIENCE_S

KEYS = """
[ours]
key = "a-key-that-is-long-enough-to-be-one"
"""


async def test_it_links_what_is_there_and_fetches_nothing(http: httpx.AsyncClient, gateway: Any) -> None:
    page = await http.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert gateway.settings.model_name in page.text
    links = re.findall(r'href="(/[^"]*)"', page.text)
    assert len(links) >= 5
    for link in links:
        assert (await http.get(link)).status_code == 200, link
    assert "src=" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_a_stranger_reads_no_model_name(serving: Any, tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(KEYS)
    async with (
        serving(api_keys_file=str(file)) as gateway,
        httpx.AsyncClient(base_url=gateway.server.url, timeout=PATIENCE_S) as http,
    ):
        page = await http.get("/")
        assert page.status_code == 200
        assert gateway.settings.model_name not in page.text
        assert "$XYLEM_API_KEY" in page.text


async def test_probes_are_no_requests(http: httpx.AsyncClient) -> None:
    for path in ("/health", "/ready", "/metrics", "/v1/models"):
        await http.get(path)
    counted = re.findall(r'xylem_requests_total\{route="([^"]*)"', (await http.get("/metrics")).text)
    assert counted == ["/v1/models"]
