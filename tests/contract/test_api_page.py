"""docs/api.md is what the code says, and the code's tables stand in it whole."""

from pathlib import Path

import pytest
from fastapi import FastAPI

from tools.api_docs import page
from xylem.services.gateway.apis.routers import ROUTERS
from xylem.services.gateway.fields.body import Body

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"


def bodies(base: type[Body] = Body) -> list[type[Body]]:
    return [base, *(found for sub in base.__subclasses__() for found in bodies(sub))]


def test_it_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tools.api_docs > docs/api.md"


def test_every_path_has_a_section() -> None:
    app = FastAPI()
    for router in ROUTERS:
        app.include_router(router)
    text = page()
    paths = app.openapi()["paths"]
    assert len(paths) > 15
    for path, methods in paths.items():
        for method in methods:
            assert f"\n## {method.upper()} {path}\n" in text


@pytest.mark.parametrize("body", [body for body in bodies() if body.__module__.startswith("xylem.")])
def test_every_field_is_named(body: type[Body]) -> None:
    text = page()
    for name in body.rows:
        assert f"`{name}`" in text or f".{name}`" in text
