"""docs/migrating.md, made from the table of foreign flags: `python -m tools.migrating_docs > docs/migrating.md`.

A test makes it anew and compares. Names of metrics are those of SGLang 0.5 and vLLM 0.11.
"""

import sys
from collections.abc import Iterator

from xylem.cli.serve.foreign.flag import ForeignFlag, Kind
from xylem.cli.serve.foreign.table import FOREIGN_FLAGS

INTRODUCTION = """# Coming from SGLang, vLLM, llama.cpp or Ollama

Made by `python -m tools.migrating_docs > docs/migrating.md`.

`python -m sglang.launch_server FLAGS` and `vllm serve MODEL FLAGS` become `xylem serve [MODEL] FLAGS` with the same
flags: each is taken, mapped to ours, left out with a line on standard error that says why, or refused with a line
that says what to do instead (exit code 2). Underscores in flags are dashes. The same names may stand in the TOML
file of `--config`. Nothing in a client has to change but its base URL: see [api.md](api.md) for the endpoints of
OpenAI, Anthropic and SGLang.

Sizes may have units: `--kv-bytes 2GiB` (or `2G`, binary as in Docker; `2GB` is decimal), `--context-length 32k`
(32,000) or `32K` (32,768).
"""

# Ours, SGLang's, vLLM's; "" where there is none.
METRICS = (
    ("xylem_running_requests", "sglang:num_running_reqs", "vllm:num_requests_running"),
    ("xylem_waiting_requests", "sglang:num_queue_reqs", "vllm:num_requests_waiting"),
    ("xylem_prompt_tokens_total", "sglang:prompt_tokens_total", "vllm:prompt_tokens_total"),
    ("xylem_generation_tokens_total", "sglang:generation_tokens_total", "vllm:generation_tokens_total"),
    ("xylem_cached_tokens_total", "sglang:cached_tokens_total", "vllm:prefix_cache_hits_total"),
    (
        "xylem_cached_tokens_total / xylem_prompt_tokens_total",
        "sglang:cache_hit_rate",
        "vllm:prefix_cache_hits_total / vllm:prefix_cache_queries_total",
    ),
    (
        "1 - xylem_free_pages / xylem_total_pages",
        "sglang:token_usage",
        "vllm:kv_cache_usage_perc",
    ),
    (
        "xylem_time_to_first_token_seconds",
        "sglang:time_to_first_token_seconds",
        "vllm:time_to_first_token_seconds",
    ),
    (
        "xylem_inter_token_latency_seconds",
        "sglang:inter_token_latency_seconds",
        "vllm:inter_token_latency_seconds",
    ),
    ("xylem_requests_total", "sglang:num_requests_total", "vllm:request_success_total"),
)

OLLAMA = (
    ("OLLAMA_HOST", "`--host`, `--port`"),
    ("OLLAMA_MODELS", "`HF_HOME`, or the folder of a model with `--model PATH`"),
    ("OLLAMA_CONTEXT_LENGTH", "`--context-length`"),
    ("OLLAMA_NUM_PARALLEL", "`--max-running`"),
    ("OLLAMA_MAX_QUEUE", "`--max-waiting`"),
    ("OLLAMA_ORIGINS", "`--allow-origin`"),
    ("OLLAMA_KEEP_ALIVE", "nothing: the model stays loaded while it is served"),
    ("OLLAMA_KV_CACHE_TYPE", "nothing: KV is kept in the type of the model"),
    ("OLLAMA_FLASH_ATTENTION", "nothing: `--kernels auto` takes the fastest"),
    ("OLLAMA_DEBUG", "`--log-level debug`"),
)


def page() -> str:
    """Returns the whole page."""
    return "\n".join([INTRODUCTION, *_flags(), *_ollama(), *_metrics()])


def _flags() -> Iterator[str]:
    yield "## Flags\n"
    yield "| flag | of | here |\n|---|---|---|"
    for flag in FOREIGN_FLAGS:
        names = ", ".join(f"`{_dashed(name)}`" for name in flag.names)
        yield f"| {names} | {flag.system} | {_becomes(flag)} |"
    yield ""


def _dashed(name: str) -> str:
    return f"--{name}" if len(name) > 3 else f"-{name}" if name not in ("tp", "dp") else f"--{name}"


def _becomes(flag: ForeignFlag) -> str:
    if flag.kind is Kind.IGNORED:
        return f"left out: {flag.why}"
    if flag.kind is Kind.REFUSED:
        harmless = ", ".join(f"`{value}`" for value in flag.harmless)
        return f"refused: {flag.why}" + (f" ({harmless}: left out)" if harmless else "")
    value = "" if flag.template == "{}" else " " + flag.template.format("VALUE")
    values = ", ".join(f"`{theirs}` is `{ours}`" for theirs, ours in flag.values.items())
    return f"`--{flag.to}{value}`" + (f" ({values})" if values else "")


def _ollama() -> Iterator[str]:
    yield "## Ollama's environment\n"
    yield "| variable | here |\n|---|---|"
    yield from (f"| `{name}` | {here} |" for name, here in OLLAMA)
    yield "\nModels are folders of safetensors or ids of the hub; GGUF files are not read.\n"


def _metrics() -> Iterator[str]:
    yield "## Metrics\n"
    yield "All are at `/metrics` of the gateways; nothing has to be switched on.\n"
    yield "| here | SGLang | vLLM |\n|---|---|---|"
    yield from ("| " + " | ".join(f"`{name}`" for name in row) + " |" for row in METRICS)
    yield ""


if __name__ == "__main__":
    sys.stdout.write(page())
