"""Which names the gateway answers to, and which pages may use it."""

from typing import Any

import httpx
import pytest

from tests.patience import PATIENCE_S
from tests.services.gateway.http.raw_http import error_of

ASK = {"prompt": "a", "max_tokens": 1}


def client(service: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=service.server.url, timeout=PATIENCE_S)


OURS = ["127.0.0.1:8000", "10.0.0.7", "[::1]:1", "localhost", "LOCALHOST:80", "gateway", "my_gateway:80", "a.localhost",
        "host.docker.internal", "box.local", "xylem.home.arpa"]  # fmt: skip
FOREIGN = ["evil.example", "rebind.evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "1.2.3.4.5"]


@pytest.mark.parametrize(
    ("allowed_hosts", "ours", "foreign"),
    [
        ("", OURS, FOREIGN),
        ("llm.example,*.corp.example", [*OURS, "llm.example:443", "LLM.example.", "a.b.corp.example"],
         [*FOREIGN, "corp.example", "x.llm.example", "notcorp.example"]),
        ("*", [*OURS, *FOREIGN], []),
    ],
)  # fmt: skip
async def test_the_names_of_a_server_on_the_loopback(
    serving: Any, allowed_hosts: str, ours: list[str], foreign: list[str]
) -> None:
    async with serving(allowed_hosts=allowed_hosts) as service, client(service) as http:
        for host in ours:
            assert (await http.get("/v1/models", headers={"host": host})).status_code == 200, host
        for host in foreign:
            refused = await http.post("/v1/completions", json=ASK, headers={"host": host})
            assert refused.status_code == 403, host
            assert "--allowed-hosts" in error_of(refused.content)["message"]


@pytest.mark.parametrize(("allowed_hosts", "status"), [("", 200), ("llm.example", 403)])
async def test_elsewhere_any_name_is_let_in_until_some_are_given(serving: Any, allowed_hosts: str, status: int) -> None:
    async with serving(host="0.0.0.0", allowed_hosts=allowed_hosts) as service:
        url = service.server.url.replace("0.0.0.0", "127.0.0.1")
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as http:
            assert (await http.get("/health", headers={"host": "other.example"})).status_code == status


PREFLIGHT = {
    "origin": "https://app.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-stainless-os",
    "access-control-request-private-network": "true",
}


@pytest.mark.parametrize("allow_origin", ["*", "https://app.example", "http://localhost:3000, https://app.example/"])
async def test_pages_of_allowed_origins_ask_and_read(serving: Any, allow_origin: str, tmp_path: Any) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text('[a]\nkey = "sk-0123456789abcdef"\nmax_open_requests = 3\n')
    async with serving(allow_origin=allow_origin, api_keys_file=str(keys)) as service, client(service) as http:
        preflight = await http.options("/v1/completions", headers=PREFLIGHT)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] in ("*", "https://app.example")
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert preflight.headers["access-control-allow-headers"] == PREFLIGHT["access-control-request-headers"]
        assert preflight.headers["access-control-allow-private-network"] == "true"
        page = {"origin": "https://app.example", "sec-fetch-site": "cross-site"}
        unknown = await http.post("/v1/completions", json=ASK, headers=page)
        assert unknown.status_code == 401
        answer = await http.post(
            "/v1/completions", json=ASK, headers={**page, "authorization": "Bearer sk-0123456789abcdef"}
        )
        assert answer.status_code == 200
        for each in (unknown, answer):
            assert each.headers["access-control-allow-origin"] in ("*", "https://app.example")
            assert "x-ratelimit-remaining-requests" in each.headers["access-control-expose-headers"]
        assert (answer.headers["x-ratelimit-limit-requests"], answer.headers["x-ratelimit-remaining-requests"]) == (
            "3",
            "3",
        )


async def test_pages_of_other_origins_are_told_no(serving: Any) -> None:
    async with serving(allow_origin="https://other.example") as service, client(service) as http:
        preflight = await http.options("/v1/completions", headers=PREFLIGHT)
        assert preflight.status_code == 403
        assert "--allow-origin" in error_of(preflight.content)["message"]
        assert "access-control-allow-origin" not in preflight.headers
        plain = await http.get("/v1/models", headers={"origin": "https://app.example"})
        assert "access-control-allow-origin" not in plain.headers


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}, 403),
        ("POST", {"sec-fetch-site": "cross-site", "origin": "null"}, 403),
        ("POST", {"sec-fetch-site": "cross-site"}, 403),
        ("POST", {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1"}, 200),
        ("POST", {"sec-fetch-site": "none"}, 200),
        ("POST", {"origin": "https://a.example"}, 200),  # of a proxy or a tool: browsers would say from where
        ("GET", {"sec-fetch-site": "cross-site"}, 405),
    ],
)
async def test_a_page_of_another_site_starts_and_ends_nothing(
    serving: Any, method: str, headers: dict[str, str], status: int
) -> None:
    async with serving() as service, client(service) as http:
        answer = await http.request(method, "/abort_request", json={"rid": "x"}, headers=headers)
        assert answer.status_code == status
