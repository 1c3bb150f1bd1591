"""Command lines of other systems."""

import pytest
from typer.testing import CliRunner

from xylem.cli.app import app
from xylem.cli.serve.flags import setting_fields
from xylem.cli.serve.foreign.flag import Kind
from xylem.cli.serve.foreign.table import FOREIGN_FLAGS
from xylem.cli.serve.foreign.translate import FlagRefused, translate
from xylem.cli.serve.serve_command import SWITCHES

OWN = {name.replace("_", "-") for _, name, _ in setting_fields()} | {"replicas", "groups", "config"}


def arguments_of(*words: str) -> list[str]:
    return translate(words, OWN, SWITCHES).arguments


@pytest.mark.parametrize(
    ("words", "ours"),
    [
        (["--model-path", "m"], ["--model", "m"]),
        (["--max-model-len=4096"], ["--context-length", "4096"]),
        (["--max_model_len", "32k"], ["--context-length", "32k"]),
        (["--context-length", "4096"], ["--context-length", "4096"]),
        (["--mem-fraction-static", "0.8"], ["--memory-fraction", "0.8"]),
        (["--gpu-memory-utilization", "0.8"], ["--memory-fraction", "0.8"]),
        (["--chunked-prefill-size", "2048"], ["--token-budget", "2048"]),
        (["--disable-radix-cache", "--port", "1"], ["--prefix-cache", "off", "--port", "1"]),
        (["--schedule-policy", "lpm"], ["--queue-policy", "prefix"]),
        (["--schedule-policy", "fcfs"], ["--queue-policy", "fifo"]),
        (["--dp", "2"], ["--replicas", "executor=2"]),
        (["--dp-size=2", "--replicas", "tokenizer=3"], ["--replicas", "executor=2,tokenizer=3"]),
        (["--replicas=gateway=2", "--tokenizer-worker-num", "2"], ["--replicas", "gateway=2,tokenizer=2"]),
        (["-ngl", "0"], ["--device", "cpu"]),
        (["-c", "4096", "-np", "2"], ["--context-length", "4096", "--max-running", "2"]),
        (["--rope-theta", "5e5"], ["--model-overrides", '{"rope_theta": 500000.0}']),
        (
            ["--rope-scaling", '{"type": "yarn"}', "--json-model-override-args", '{"a": 1}'],
            ["--model-overrides", '{"rope_scaling": {"type": "yarn"}, "a": 1}'],
        ),
        (["--served_name", "x"], ["--served-name", "x"]),
        (["model", "--", "--tp", "2"], ["model", "--", "--tp", "2"]),
        (["--no-such-flag", "--help"], ["--no-such-flag", "--help"]),
        (["--strict-max-tokens", "--tp", "1"], ["--strict-max-tokens", "true"]),
        (["--strict-max-tokens", "m"], ["--strict-max-tokens", "true", "m"]),
        (["--strict_max_tokens=false", "m"], ["--strict-max-tokens", "false", "m"]),
        (["m", "--strict-max-tokens"], ["m", "--strict-max-tokens", "true"]),
        (["--dp", "2", "--", "m"], ["--replicas", "executor=2", "--", "m"]),
    ],
)
def test_what_a_command_line_becomes(words: list[str], ours: list[str]) -> None:
    assert arguments_of(*words) == ours


@pytest.mark.parametrize(
    "words",
    [
        ["--tp", "1"], ["--tensor-parallel-size=1"], ["-tp", "1"], ["--trust-remote-code"], ["--enforce-eager"],
        ["--kv-cache-dtype", "auto"], ["--attention-backend", "fa3"], ["--enable-metrics"], ["--load-format", "auto"],
        ["--speculative-algorithm", "EAGLE"], ["--enable-auto-tool-choice"],
        ["--chat-template-content-format", "openai"],
    ],
)  # fmt: skip
def test_what_asks_for_nothing_is_left_out_and_said(words: list[str]) -> None:
    found = translate(words, OWN)
    assert found.arguments == []
    [note] = found.notes
    assert "is ignored: " in note


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tp", "2"], "--replicas executor=N"),
        (["--api-key", "secret"], "--api-keys-file"),
        (["--hf-token", "secret"], "HF_TOKEN"),
        (["--enable-lora"], "LoRA"),
        (["--lora-paths", "a=b"], "LoRA"),
        (["--nnodes", "2"], "--nats-url"),
        (["--kv-cache-dtype", "fp8"], "type of the model"),
        (["--chat-template", "x.jinja"], "model's folder"),
        (["--tp"], "needs a value"),
        (["--rope-scaling", "{"], "no JSON"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(words: list[str], said: str) -> None:
    with pytest.raises(FlagRefused) as refused:
        translate(words, OWN)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_secret_is_not_repeated() -> None:
    with pytest.raises(FlagRefused) as refused:
        translate(["--api-key", "hunter2"], OWN)
    assert "hunter2" not in str(refused.value)


def test_every_row_is_whole() -> None:
    names = [name for flag in FOREIGN_FLAGS for name in flag.names]
    assert len(names) == len(set(names))
    for flag in FOREIGN_FLAGS:
        if flag.kind is Kind.MAPPED:
            assert flag.to in OWN, flag.to
        else:
            assert flag.why, flag.names
        assert not set(flag.names) & OWN, "ours goes first, and the row would never be read"


def test_the_command_refuses_with_exit_code_2() -> None:
    result = CliRunner().invoke(app, ["serve", "--tp", "2"])
    assert result.exit_code == 2
    assert result.output.startswith("xylem serve: --tp 2: a model runs on one device here")
