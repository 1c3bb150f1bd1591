"""The file of API keys, and who is let in with them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.patience import PATIENCE_S
from xylem.services.gateway.api_keys import Keys, KeysError
from xylem.services.gateway.service import GatewayService
from xylem.shared.protocol import FinishReason
from xylem.shared.runtime.errors import Forbidden, Unauthorized
from xylem.shared.runtime.service import StartupError, running

ALICE, BOB, BOSS = "sk-alice-0123456789", "sk-bob-0123456789", "sk-boss-0123456789"
FREE = "sk-free-0123456789"
FILE = f"""
[alice]
key = "{ALICE}"
max_open_requests = 2
min_priority = -5

[bob]
sha256 = "{hashlib.sha256(BOB.encode()).hexdigest()}"
shared_cache = true

[free]
key = "{FREE}"
max_open_requests = 0

[boss]
key = "{BOSS}"
admin = true
"""
PATH, BODY = "/v1/completions", {"prompt": "Hi", "max_tokens": 5}


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    path.write_text(FILE)
    return path


@pytest.fixture
async def guarded(serving: Any, keys_file: Path) -> AsyncIterator[GatewayService]:
    async with serving(api_keys_file=str(keys_file)) as service:
        yield service


@pytest.fixture
async def http(guarded: GatewayService) -> AsyncIterator[httpx.AsyncClient]:
    assert guarded.server is not None
    async with httpx.AsyncClient(base_url=guarded.server.url, timeout=PATIENCE_S) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_keys_are_found_by_their_digest(keys_file: Path) -> None:
    keys = Keys.load(keys_file)
    assert [keys.find_key(key).name for key in (ALICE, BOB, BOSS)] == ["alice", "bob", "boss"]
    assert keys.check(BOSS, admin=True).name == "boss"
    for key, admin in ((ALICE, True), (BOSS, False)):
        with pytest.raises(Forbidden):
            keys.check(key, admin=admin)
    for wrong in ("", ALICE[:-1], ALICE + "x", "é"):
        with pytest.raises(Unauthorized):
            keys.find_key(wrong)
    assert ALICE not in repr(vars(keys))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "has no keys"),
        ("[a", "is no TOML file"),
        ("a = 1", "a must be a table"),
        ("[a]\nadmin = true", "needs either key or sha256"),
        (f'[a]\nkey = "{ALICE}"\nsha256 = "{"0" * 64}"', "needs either key or sha256"),
        ('[a]\nkey = "short"', "is too short"),
        ('[a]\nsha256 = "xyz"', "64 hexadecimal digits"),
        (f'[a]\nkey = "{ALICE}"\nmax_open_requests = "3"', "max_open_requests must be a int"),
        (f'[a]\nkey = "{ALICE}"\nmax_open_requests = -1', "must not be negative"),
        (f'[a]\nkey = "{ALICE}"\nmin_priority = "low"', "min_priority must be a int"),
        (f'[a]\nkey = "{ALICE}"\nlimit = 3', "unknown field limit"),
        (f'["a\\nb"]\nkey = "{ALICE}"', "must be 1 to 64 letters"),
        (f'["a.b"]\nkey = "{ALICE}"', "must be 1 to 64 letters"),
    ],
)
def test_a_bad_file_says_what_is_wrong_and_no_key(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(text)
    with pytest.raises(KeysError, match=complaint) as error:
        Keys.load(path)
    assert ALICE not in str(error.value)


async def test_a_gateway_does_not_start_without_its_keys(gateway_settings: Any) -> None:
    with pytest.raises(BaseExceptionGroup) as group:
        async with running(GatewayService(gateway_settings(api_keys_file="/nowhere/keys.toml"))):
            pass
    assert group.group_contains(StartupError, match="can't read the API keys")


@pytest.mark.parametrize("headers", [bearer(ALICE), {"x-api-key": BOB}, {"authorization": f"bearer  {BOB}"}])
async def test_who_has_a_key_is_let_in(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await http.post(PATH, json=BODY, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("key", "priority", "status"), [(ALICE, -5, 200), (ALICE, -6, 400), (ALICE, 7, 200), (BOB, 0, 200), (BOB, -1, 400)]
)
async def test_a_key_bounds_the_priority_of_its_requests(
    http: httpx.AsyncClient, pipeline: Any, key: str, priority: int, status: int
) -> None:
    response = await http.post(PATH, json={**BODY, "priority": priority}, headers=bearer(key))
    assert response.status_code == status, response.text
    if status == 200:
        assert [g.params.priority for g in pipeline.generates] == [priority]
    else:
        assert response.json()["error"]["param"] == "priority"
        assert pipeline.generates == []


@pytest.mark.parametrize("headers", [{}, bearer("sk-wrong-0123456789"), {"x-api-key": ""}, {"authorization": ALICE}])
async def test_who_has_none_is_not(http: httpx.AsyncClient, pipeline: Any, headers: dict[str, str]) -> None:
    for method, path in (("POST", PATH), ("GET", "/v1/models"), ("GET", "/nothing"), ("GET", "/openapi.json")):
        response = await http.request(method, path, headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["error"]["code"] == "invalid_api_key"
        assert "sk-" not in response.text
    assert pipeline.generates == []


async def test_health_is_open_and_admin_paths_need_the_admin_key(http: httpx.AsyncClient) -> None:
    for path in ("/health", "/ready"):
        assert (await http.get(path)).status_code == 200
    for path in ("/metrics", "/admin/services"):
        assert (await http.get(path)).status_code == 401
        assert (await http.get(path, headers=bearer(ALICE))).status_code == 403
        assert (await http.get(path, headers=bearer(BOSS))).status_code == 200
    assert (await http.post("/flush_cache")).status_code == 401
    assert (await http.post("/flush_cache", headers=bearer(ALICE))).status_code == 403
    assert (await http.post("/flush_cache", headers=bearer(BOSS))).status_code == 502  # nobody answers here
    assert (await http.post(PATH, json=BODY, headers=bearer(BOSS))).status_code == 403


async def test_the_admin_sees_and_asks_services(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/admin/services", headers=bearer(BOSS))).json()["data"]
    assert {"kind": "executor", "id": "executor-0"}.items() <= listed[1].items()
    gateway = await http.post("/admin/services/gateway/gw/ping", headers=bearer(BOSS))
    assert gateway.json() == {"ok": True, "detail": {"kind": "gateway", "id": "gw", "state": "ready"}}
    assert (await http.post("/admin/services/gateway/gw/flush", headers=bearer(BOSS))).status_code == 502
    assert (await http.post("/admin/services/gateway/gw/reboot", headers=bearer(BOSS))).status_code == 400
    assert (await http.post("/admin/services/gateway/none/ping", headers=bearer(BOSS))).status_code == 404


async def test_without_keys_there_is_no_admin(serving: Any) -> None:
    async with serving() as service, httpx.AsyncClient(base_url=service.server.url, timeout=PATIENCE_S) as http:
        assert (await http.get("/admin/services")).status_code == 404
        assert (await http.get("/metrics")).status_code == 200


async def test_a_key_has_its_own_limit(http: httpx.AsyncClient, pipeline: Any) -> None:
    release = asyncio.Event()
    begun = asyncio.Semaphore(0)

    async def play(g: Any) -> None:
        begun.release()
        await release.wait()
        await pipeline.answer(g)

    pipeline.play = play
    first = asyncio.create_task(http.post(PATH, json={**BODY, "n": 2}, headers=bearer(ALICE)))
    for _ in range(2):
        await begun.acquire()
    refused = await http.post(PATH, json=BODY, headers=bearer(ALICE))
    assert refused.status_code == 429
    assert "2 sequences of alice are open" in refused.json()["error"]["message"]
    assert "max_open_requests is 2" in refused.json()["error"]["message"]
    assert int(refused.headers["retry-after"]) >= 1
    other = asyncio.create_task(http.post(PATH, json=BODY, headers=bearer(BOB)))
    await begun.acquire()
    release.set()
    assert (await first).status_code == (await other).status_code == 200
    assert (await http.post(PATH, json=BODY, headers=bearer(ALICE))).status_code == 200


async def test_questions_to_a_tokenizer_count_as_open(guarded: GatewayService, http: httpx.AsyncClient) -> None:
    context = guarded.context
    assert context.keys is not None
    alice = context.keys.find_key(ALICE)
    questions = (("/tokenize", {"prompt": "x"}), ("/detokenize", {"tokens": [65]}))
    with context.asking(alice), context.asking(alice):
        for path, body in (*questions, (PATH, BODY)):
            refused = await http.post(path, json=body, headers=bearer(ALICE))
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            assert (await http.post(path, json=body, headers=bearer(BOB))).status_code == 200
    for path, body in questions:
        assert (await http.post(path, json=body, headers=bearer(ALICE))).status_code == 200
    assert context.questions.total() == 0


async def test_the_default_limit_is_for_keys_without_their_own(serving: Any, keys_file: Path, pipeline: Any) -> None:
    async with (
        serving(api_keys_file=str(keys_file), max_open_requests_per_key=1) as service,
        httpx.AsyncClient(base_url=service.server.url, timeout=PATIENCE_S) as http,
    ):
        refused = await http.post(PATH, json={**BODY, "n": 2}, headers=bearer(BOB))
        assert refused.status_code == 429
        assert "its max_open_requests_per_key is 1" in refused.json()["error"]["message"]
        for key in (ALICE, FREE):
            assert (await http.post(PATH, json={**BODY, "n": 2}, headers=bearer(key))).status_code == 200


async def test_the_pipeline_knows_the_tenant_and_keeps_prefixes_apart(http: httpx.AsyncClient, pipeline: Any) -> None:
    for key, salt in ((ALICE, ""), (ALICE, "mine"), (ALICE, "mine"), (BOB, ""), (BOB, "mine")):
        await http.post(PATH, json={**BODY, "cache_salt": salt}, headers=bearer(key))
    assert [g.params.tenant for g in pipeline.generates] == ["alice"] * 3 + ["bob"] * 2
    bare, salted, again, *shared = [g.params.cache_salt for g in pipeline.generates]
    assert (salted == again, salted == bare, shared) == (True, False, ["", "mine"])
    # What a sharing key may choose freely leads into nobody else's prefixes, not even knowing their names.
    for salt in ("alice", "alice\n", "alice\nmine"):
        await http.post(PATH, json={**BODY, "cache_salt": salt}, headers=bearer(BOB))
    assert not {g.params.cache_salt for g in pipeline.generates[5:]} & {bare, salted}
    assert not any(text in bare for text in ("alice", ALICE, hashlib.sha256(ALICE.encode()).hexdigest()))


async def test_nobody_takes_over_the_stream_of_another(http: httpx.AsyncClient, pipeline: Any) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def play(g: Any) -> None:
        if g.params.tenant == "bob":
            await pipeline.answer(g)
            return
        await pipeline.words(g, 0, 2)
        begun.set()
        await release.wait()
        await pipeline.words(g, 2, 5, FinishReason.LENGTH)

    pipeline.play = play
    body = {**BODY, "stream": True, "stream_options": {"event_ids": True}}
    async with http.stream("POST", PATH, json=body, headers=bearer(ALICE)) as hers:
        lines = hers.aiter_lines()
        last_id = next(line for line in [await anext(lines), await anext(lines)] if line.startswith("id: "))[4:]
        await begun.wait()
        his = await http.post(PATH, json=body, headers={**bearer(BOB), "last-event-id": last_id})
        release.set()
        rest = "".join([line async for line in lines])
    assert his.status_code == 200
    assert [g.request_id.split(".")[-1] for g in pipeline.generates] == ["alice-0", "bob-0"]
    assert "w4 " in rest, "her stream went on"
