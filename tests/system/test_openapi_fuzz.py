"""schemathesis on the gateway's own description: whatever it makes up, no answer is a 5xx; errors have one shape."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from tests.one_loop import OneLoop, one_loop

OPERATIONS = [
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{model}"),
    ("POST", "/tokenize"),
    ("POST", "/detokenize"),
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/metrics"),
]
EXAMPLES = {"POST": 100, "GET": 10}
# What takes no body has nothing that could be wrong: schemathesis finds no negative case for it.
CASES = [
    *((method, path, GenerationMode.POSITIVE) for method, path in OPERATIONS),
    *((method, path, GenerationMode.NEGATIVE) for method, path in OPERATIONS if method == "POST"),
]


@pytest.fixture(scope="module")
def system(nats_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneLoop]:
    with one_loop(nats_url, tmp_path_factory.mktemp("openapi") / "model") as made:
        yield made


@pytest.fixture(scope="module")
def schema(system: OneLoop) -> Any:
    assert system.gateway.server is not None
    return schemathesis.openapi.from_url(f"{system.gateway.server.url}/openapi.json")


def test_every_operation_is_tried(schema: Any) -> None:
    described = {(found.ok().method.upper(), found.ok().path) for found in schema.get_all_operations()}
    assert described == set(OPERATIONS)


@pytest.mark.parametrize(("method", "path", "mode"), CASES)
def test_no_answer_is_a_server_error(
    system: OneLoop, schema: Any, method: str, path: str, mode: GenerationMode
) -> None:
    operation = schema[path][method]

    @settings(max_examples=EXAMPLES[method], deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode), short=st.booleans())
    def ask(case: Any, short: bool) -> None:
        if short and isinstance(case.body, dict):
            case.body["max_tokens"] = 2  # most of what is made up at random asks for more than the context holds
        response = case.call(timeout=20)
        assert response.status_code < 500, (response.status_code, response.text, case.as_curl_command())
        if response.status_code >= 400:
            error = response.json()["error"]
            assert error.keys() == {"message", "type", "param", "code"}, response.text
            assert error["message"]
            assert error["type"].endswith("_error")

    ask()
    assert not system.ended()
