"""schemathesis on the gateway's own description: no answer is a 5xx, and all errors have the shape of their API."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from tests.one_loop import OneLoop, one_loop
from tests.patience import PATIENCE_S

WITH_BODY = [
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/responses"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/messages/count_tokens"),
    ("POST", "/generate"),
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/score"),
    ("POST", "/v1/rerank"),
    ("POST", "/tokenize"),
    ("POST", "/detokenize"),
    ("POST", "/abort_request"),
]
WITHOUT_BODY = [
    ("GET", "/v1/responses/{response_id}"),
    ("DELETE", "/v1/responses/{response_id}"),
    ("POST", "/v1/responses/{response_id}/cancel"),
    ("GET", "/v1/responses/{response_id}/input_items"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{model}"),
    ("GET", "/health"),
    ("GET", "/health_generate"),
    ("GET", "/ready"),
    ("GET", "/model_info"),
    ("GET", "/server_info"),
    ("GET", "/v1/loads"),
    ("POST", "/flush_cache"),
    ("GET", "/metrics"),
]
OPERATIONS = WITH_BODY + WITHOUT_BODY
# What takes no body has next to nothing that could be wrong: schemathesis finds no negative case for most of it.
CASES = [
    *((*operation, GenerationMode.POSITIVE) for operation in OPERATIONS),
    *((*operation, GenerationMode.NEGATIVE) for operation in WITH_BODY),
]
# Most of what is made up at random asks for more than the context holds.
SHORT: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"max_tokens": 2},
    "/v1/completions": {"max_tokens": 2},
    "/v1/messages": {"max_tokens": 2},
    "/v1/responses": {"max_output_tokens": 2},
    "/generate": {"sampling_params": {"max_new_tokens": 2}},
}


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

    examples = 100 if (method, path) in WITH_BODY else 10

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode), short=st.booleans())
    def ask(case: Any, short: bool) -> None:
        if short and isinstance(case.body, dict):
            case.body.update(SHORT.get(path, {}))
        response = case.call(timeout=PATIENCE_S)
        assert response.status_code < 500, (response.status_code, response.text, case.as_curl_command())
        if response.status_code >= 400:
            error = response.json()["error"]
            keys = {"type", "message"} if path.startswith("/v1/messages") else {"message", "type", "param", "code"}
            assert error.keys() == keys, response.text
            assert error["message"]
            assert error["type"].endswith("_error")

    ask()
    assert not system.ended()
