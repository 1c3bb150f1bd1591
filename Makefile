# Tasks of those who work on Xylem. `make venv` once; then any of the others.
.PHONY: venv format lint type test test-fast bench serve api-docs migrating-docs counts

BIN := .venv/bin

venv:
	python3 -m venv .venv
	$(BIN)/pip install -e '.[test]'

format:
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lint:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

type:
	$(BIN)/mypy -p xylem -p tools -p tests -p benchmarks

test:
	$(BIN)/pytest -n 2 --dist loadgroup

test-fast:
	$(BIN)/pytest -n 2 --dist loadgroup -m "not slow"

bench:
	$(BIN)/python -m benchmarks.bench_engine --shape demonstration

serve:
	$(BIN)/xylem serve

api-docs:
	$(BIN)/python -m tools.api_docs > docs/api.md

migrating-docs:
	$(BIN)/python -m tools.migrating_docs > docs/migrating.md

counts:
	$(BIN)/python -m tools.structure_counts
