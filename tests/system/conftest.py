from collections.abc import Iterator

import pytest

from tests.serving import Served, serving


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demonstration model as `xylem serve` runs it by default."""
    with serving(tmp_path_factory.mktemp("served")) as system:
        yield system


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """With two gateways, one of which may die; the other one is at the next port."""
    with serving(tmp_path_factory.mktemp("pair"), "--replicas", "gateway=2,detokenizer=2") as system:
        yield system


@pytest.fixture(scope="session")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A system short of memory and of budget: chunked prefill, eviction and retraction happen all the time."""
    flags = ("--kv-pages", "48", "--page-size", "4", "--token-budget", "24", "--grant-ahead-tokens", "4")
    with serving(tmp_path_factory.mktemp("tight"), *flags) as system:
        yield system
