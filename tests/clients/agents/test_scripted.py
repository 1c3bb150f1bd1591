"""A task loop as agents run it, by requests alone: what the scripted server answers, and what it finds in its cache."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.clients.agents.script import COMMAND, FINISHED
from tests.clients.agents.serving import scripted_server

SHELL = {"type": "object", "properties": {"cmd": {"type": "string"}}}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with scripted_server(tmp_path_factory.mktemp("serve")) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def posted(http: httpx.Client, path: str, body: dict[str, Any]) -> Any:
    response = http.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def test_codex(http: httpx.Client) -> None:
    body: dict[str, Any] = {
        "client_metadata": {"session_id": "s"},
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "tools": [
            {"type": "function", "name": "exec_command", "parameters": SHELL, "strict": False},
            {"type": "namespace", "name": "agents", "description": "", "tools": []},
            {"type": "web_search", "external_web_access": False},
            {
                "type": "custom",
                "name": "patch",
                "format": {"type": "grammar", "syntax": "lark", "definition": "x: /y/"},
            },
        ],
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Write a file."}]}],
    }
    call = posted(http, "/v1/responses", body)["output"][-1]
    assert (call["type"], json.loads(call["arguments"])) == ("function_call", {"cmd": COMMAND})
    body["input"] += [call, {"type": "function_call_output", "call_id": call["call_id"], "output": "done"}]
    assert posted(http, "/v1/responses", body)["output"][0]["content"][0]["text"] == FINISHED


def test_claude_code(http: httpx.Client) -> None:
    body: dict[str, Any] = {
        "max_tokens": 300_000,  # more than the context holds
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "tools": [{"name": "Bash", "input_schema": SHELL}, {"name": "Late", "input_schema": {}, "defer_loading": True}],
        "messages": [{"role": "user", "content": "Write a file."}],
    }
    usages = []
    for version in ("342", "e9b"):
        header = {"type": "text", "text": f"x-anthropic-billing-header: cc_version=2.1.332.{version};"}
        body["system"] = [header, {"type": "text", "text": "You are an agent."}]
        answer = posted(http, "/v1/messages", body)
        usages.append(answer["usage"])
    assert usages[1]["input_tokens"] == 1  # the whole prompt but its last token was in the cache
    assert usages[1]["cache_read_input_tokens"] > 50
    call = answer["content"][-1]
    assert (answer["stop_reason"], call["input"]["command"]) == ("tool_use", COMMAND)
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "done"}
    body["messages"] += [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": [result]}]
    assert posted(http, "/v1/messages", body)["content"][0]["text"] == FINISHED
