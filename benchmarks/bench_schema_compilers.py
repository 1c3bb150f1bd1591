"""Which compiler of schemas serves best? `python -m benchmarks.bench_schema_compilers SCHEMAS.jsonl [--json FILE]`.

Ours over llguidance, llguidance's own, and xgrammar's own, over the same schemas and a vocabulary of 150,000. For each:
how many schemas compile, the slowest and median compile, the median and slowest mask on the way of valid documents,
and the memory that all of it took. Then, with small vocabularies, random documents are judged by `jsonschema`: a wrong
one was let through, though the compiler had said nothing. Last come single schemas that are hard for one of them.
"""

import argparse
import json
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from llguidance import LLMatcher

from benchmarks.eval_schemas import CLOSING, judge
from benchmarks.shapes import write_tokenizer
from xylem.demo_model import MODEL_PATH
from xylem.services.executor.structured_output import GrammarFailed
from xylem.services.executor.structured_output.compiler import Vocabulary, compile_grammar
from xylem.services.executor.structured_output.ebnf_engine import EbnfGrammar
from xylem.services.executor.structured_output.grammar_state import Automaton
from xylem.services.executor.structured_output.lark_engine import LarkGrammar
from xylem.services.executor.structured_output.token_spelling import bytes_of_tokens
from xylem.shared.model_info.tokenizer_codec import TextCodec

VOCAB_SIZE = 151_936
MOST_TOKENS = 400
Compile = Callable[[Vocabulary, str], Automaton]


def ours(vocabulary: Vocabulary, schema: str) -> Automaton:
    return compile_grammar(vocabulary, "json_schema", schema)


def llguidances(vocabulary: Vocabulary, schema: str) -> Automaton:
    options = {"whitespace_pattern": r"(?: |\n {0,16})?"}
    written = LLMatcher.grammar_from_json_schema(schema, overrides=options)  # type: ignore[arg-type]
    inner = json.loads(written)["grammars"][0]["json_schema"]
    return LarkGrammar(vocabulary.lark, f"start: %json {json.dumps(inner)}\n")


def xgrammars(vocabulary: Vocabulary, schema: str) -> Automaton:
    compiler = vocabulary.ebnf.compiler
    return EbnfGrammar.made(lambda: compiler.compile_json_schema(schema, max_whitespace_cnt=1))


COMPILERS: dict[str, Compile] = {"ours over llguidance": ours, "llguidance's": llguidances, "xgrammar's": xgrammars}
HARD: dict[str, Any] = {
    "maxLength 255": {"type": "string", "maxLength": 255},
    "maxLength 8000": {"type": "string", "maxLength": 8000},
    "400 optional properties": {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(400)}},
    "3000 values": {"enum": [f"value {n}" for n in range(3000)]},
    "20 digits, bounded": {"type": "integer", "minimum": 0, "maximum": 99999999999999999999},
    "tiny bounds": {"type": "number", "minimum": 1e-300, "maximum": 1e-290},
    "not const": {"type": "integer", "not": {"const": 5}},
    "pattern and length": {"type": "string", "pattern": "^[a-z](-?[a-z0-9])*$", "minLength": 3, "maxLength": 63},
}


class Walker:
    """Writes random documents of a grammar, and times the masks."""

    def __init__(self, spelled: Sequence[bytes], end_id: int, seed: int) -> None:
        self._spelled = spelled
        self._end_id = end_id
        self._draw = random.Random(seed)
        self.masks_s: list[float] = []

    def write(self, grammar: Automaton) -> bytes | None:
        """Returns a finished document; None for one that has not ended in time, or can't go on."""
        state, out = grammar.begin(frozenset([self._end_id])), b""
        for step in range(MOST_TOKENS):
            began_s = time.perf_counter()
            words = state.mask()
            self.masks_s.append(time.perf_counter() - began_s)
            ids = np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little"))
            if not len(ids):
                return None
            closing = [i for i in ids[:3000] if i == self._end_id or self._spelled[i][:1] in CLOSING]
            token_id = int(self._draw.choice(closing if closing and self._draw.random() < 0.2 + step / 100 else ids))
            if not state.accept(token_id):
                return None
            if token_id == self._end_id:
                return out
            out += self._spelled[token_id]
        return None


def vocabulary_of(path: Path, vocab_size: int, end_id: int) -> tuple[Vocabulary, list[bytes]]:
    spelled = bytes_of_tokens(TextCodec.load(path))[:vocab_size]
    spelled[end_id] = b""
    vocabulary = Vocabulary(spelled, vocab_size, [end_id])
    _ = vocabulary.lark.tokenizer, vocabulary.ebnf.compiler
    return vocabulary, spelled


def measure(compile_: Compile, schemas: list[Any], folder: Path, documents: int) -> dict[str, Any]:
    """Measures one compiler over all schemas."""
    small, small_spelled = vocabulary_of(MODEL_PATH, 2048, 2)
    large, large_spelled = vocabulary_of(folder, VOCAB_SIZE, 0)
    walker, timed_walker = Walker(small_spelled, 2, 0), Walker(large_spelled, 0, 0)
    refused, seconds, num_written, num_wrong = 0, [], 0, 0
    before_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    kept = []
    for schema in schemas:
        text = json.dumps(schema)
        began_s = time.perf_counter()
        try:
            kept.append(compile_(large, text))
        except GrammarFailed:
            refused += 1
            continue
        seconds.append(time.perf_counter() - began_s)
        timed_walker.write(kept[-1])
        verdict, grammar = judge(schema), compile_(small, text)
        written = [document for _ in range(documents) if (document := walker.write(grammar)) is not None]
        num_written += len(written)
        num_wrong += sum(_is_wrong(verdict, document) for document in written)
    grown_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before_bytes
    return {
        "compiled": len(seconds),
        "refused": refused,
        "documents": num_written,
        "wrong": num_wrong,
        "median_compile_ms": round(1e3 * statistics.median(seconds), 2),
        "worst_compile_ms": round(1e3 * max(seconds), 1),
        "median_mask_us": round(1e6 * statistics.median(timed_walker.masks_s), 1),
        "worst_mask_ms": round(1e3 * max(timed_walker.masks_s), 1),
        "grown_mb": round(grown_bytes / 1e6),
        **{name: _time_of(compile_, large, schema) for name, schema in HARD.items()},
    }


def _is_wrong(verdict: Callable[[str], str], document: bytes) -> bool:
    try:
        return verdict(document.decode()) != ""
    except (ValueError, ArithmeticError):
        return True


def _time_of(compile_: Compile, vocabulary: Vocabulary, schema: Any) -> str:
    began_s = time.perf_counter()
    try:
        compile_(vocabulary, json.dumps(schema))
    except GrammarFailed as failed:
        return f"refused: {str(failed)[:60]}"
    return f"{1e3 * (time.perf_counter() - began_s):.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--only", choices=COMPILERS, help="in a process of its own, for the memory")
    parser.add_argument("--documents", type=int, default=3)
    parser.add_argument("--first", type=int, help="only so many schemas")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    schemas = [json.loads(line)["schema"] for line in arguments.path.read_text().splitlines()][: arguments.first]
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        write_tokenizer(Path(folder), VOCAB_SIZE)
        for name in [arguments.only] if arguments.only else COMPILERS:
            results[name] = measure(COMPILERS[name], schemas, Path(folder), arguments.documents)
            print(name, json.dumps(results[name], indent=1), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
