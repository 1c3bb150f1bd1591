"""What structured output costs with a vocabulary of 150,000: `python -m benchmarks.bench_grammar [--json FILE]`.

compile: taking the schema apart and compiling it, in the child. read: once more in the executor, from what the child
sent. fill: the masks of so many rows, one after another, at random places of random documents. accept: one token.
"""

import argparse
import datetime
import json
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.eval_schemas import allowed_ids
from benchmarks.shapes import write_tokenizer
from xylem.services.executor.structured_output import CompiledGrammar, Matcher
from xylem.services.executor.structured_output.compiler import Vocabulary, compile_grammar, read_grammar
from xylem.services.executor.structured_output.token_spelling import bytes_of_tokens
from xylem.shared.model_info.tokenizer_codec import TextCodec
from xylem.shared.protocol import Grammar

VOCAB_SIZE = 151_936
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "mail": {"type": "string", "format": "email"},
        "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "maxItems": 5},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
KINDS: dict[str, tuple[str, str]] = {
    "any object": ("json_object", ""),
    "person": ("json_schema", json.dumps(PERSON)),
    "maxLength 64": ("json_schema", '{"type": "string", "maxLength": 64}'),
    "maxLength 255": ("json_schema", '{"type": "string", "maxLength": 255}'),
    "recursive": ("json_schema", '{"type": "array", "items": {"$ref": "#"}}'),
    "regex": ("regex", "[A-Z][a-z]+ [0-9]{4}-[0-9]{2}"),
    "choice": ("choice", json.dumps([f"label {n}" for n in range(100)])),
}


def timed(of: Any, *arguments: Any) -> tuple[Any, float]:
    """A call's result and its milliseconds."""
    began_s = time.perf_counter()
    result = of(*arguments)
    return result, 1e3 * (time.perf_counter() - began_s)


def measure(vocabulary: Vocabulary, name: str, rows: int) -> dict[str, Any]:
    grammar, compile_ms = timed(compile_grammar, vocabulary, *KINDS[name])
    written = grammar.serialized()
    read, read_ms = timed(read_grammar, vocabulary, grammar.engine, written)
    draw = random.Random(0)
    bitmask = torch.zeros((rows, -(-VOCAB_SIZE // 32)), dtype=torch.int32)
    form = Grammar(KINDS[name][0])
    matchers = [Matcher(CompiledGrammar(read), form, end_ids=frozenset([0]), output_ids=()) for _ in range(rows)]
    fills, accepts = [], []
    for _ in range(12):
        began_s = time.perf_counter()
        for row, matcher in enumerate(matchers):
            matcher.fill_mask(bitmask, row)
        fills.append(1e3 * (time.perf_counter() - began_s))
        for row, matcher in enumerate(matchers):
            accepts.append(1e3 * timed(matcher.accept, draw.choice(allowed_ids(bitmask[row])))[1])
    return {
        "grammar": name,
        "compile_ms": round(compile_ms, 1),
        "read_ms": round(read_ms, 1),
        "kb_sent": round(len(written) / 1e3, 1),
        "fill_ms": round(statistics.median(fills), 2),
        "worst_fill_ms": round(max(fills), 2),
        "accept_us": round(statistics.median(accepts), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_tokenizer(Path(folder), VOCAB_SIZE)
        codec = TextCodec.load(Path(folder))
    spelled, spell_ms = timed(bytes_of_tokens, codec)
    vocabulary = Vocabulary(spelled, VOCAB_SIZE, [0])
    _, trie_ms = timed(lambda: vocabulary.lark.tokenizer)
    load = os.getloadavg()[0]
    date = datetime.datetime.now(tz=datetime.UTC).date()
    print(
        f"{date}, {os.cpu_count()} cores, load {load:.1f}, {arguments.rows} rows, "
        f"tokens {spell_ms:.0f} ms, their trie {trie_ms:.0f} ms"
    )
    results = []
    for name in [arguments.only] if arguments.only else KINDS:
        results.append(measure(vocabulary, name, arguments.rows))
        if len(results) == 1:
            print("| " + " | ".join(results[0]) + " |\n|" + "---|" * len(results[0]))
        print("| " + " | ".join(map(str, results[-1].values())) + " |", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": arguments.rows, "load": load, "results": results}, indent=1))


if __name__ == "__main__":
    main()
