"""OpenAI's package, the one client that is at hand in every test run: its file of checks, as the runner runs it."""

import sys
from pathlib import Path

from tests.clients.environments import running
from tests.clients.outcomes import run_checks
from tests.clients.serving import keyed_server
from tests.clients.table import OPENAI_FILES


def test_what_openais_package_does(tmp_path: Path) -> None:
    command = [sys.executable, *running("openai", OPENAI_FILES)]
    with keyed_server(tmp_path) as (url, api_key):
        result = run_checks("openai", command, url, api_key)
    assert not result.failures
    assert not result.skipped
    assert result.num_passed > 50
