"""Are outputs under a schema's grammar valid? `python -m benchmarks.eval_schemas SCHEMAS.jsonl [--outputs N]`.

Each line of the file is `{"name", "schema"}`. For every schema: compiles it, walks its grammar with random tokens of
the demonstration model's vocabulary, and has each finished document judged by `jsonschema`, formats included. Prints
how many schemas were refused and why, and every output that is wrong. Ends with status 1 when there is one.
"""

import argparse
import collections
import decimal
import json
import random
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import torch

from xylem.demo_model import MODEL_PATH
from xylem.services.executor.structured_output import CompiledGrammar, GrammarFailed, Matcher
from xylem.services.executor.structured_output.compiler import Vocabulary, compile_grammar
from xylem.services.executor.structured_output.token_spelling import bytes_of_tokens
from xylem.shared.model_info.model_card import read_json
from xylem.shared.model_info.tokenizer_codec import TextCodec
from xylem.shared.protocol import Grammar

Judge = Callable[[str], str]
MOST_DIGITS = 400  # of decimals that are divided
CLOSING = b'"]}'


def allowed_ids(row: torch.Tensor) -> list[int]:
    """The token ids whose bits are set in one row of a bitmask."""
    bits = np.unpackbits(row.numpy().view(np.uint8), bitorder="little")
    return [int(i) for i in np.flatnonzero(bits)]


class Writer:
    """Writes random documents of a compiled grammar."""

    def __init__(self, draw: random.Random) -> None:
        codec = TextCodec.load(MODEL_PATH)
        config = read_json(MODEL_PATH / "config.json")
        self.draw = draw
        self.spelled = bytes_of_tokens(codec)
        self.end_ids = frozenset([int(config["eos_token_id"])])
        vocab_size = int(config["vocab_size"])
        self.vocabulary = Vocabulary(self.spelled, vocab_size, self.end_ids)
        self._mask = torch.zeros((1, -(-vocab_size // 32)), dtype=torch.int32)

    def compile(self, kind: str, text: str) -> CompiledGrammar:
        return CompiledGrammar(compile_grammar(self.vocabulary, kind, text))

    def write(self, grammar: CompiledGrammar, most_tokens: int = 600) -> bytes | None:
        """A finished document; None when it has not ended after so many tokens."""
        matcher = Matcher(grammar, Grammar("json_schema"), end_ids=self.end_ids, output_ids=())
        out = b""
        for step in range(most_tokens):
            self._mask.fill_(-1)
            matcher.fill_mask(self._mask, 0)
            ids = allowed_ids(self._mask[0])
            if not ids:
                raise AssertionError(f"nothing may follow {out!r}")
            closing = [i for i in ids if i in self.end_ids or self.spelled[i][:1] in CLOSING]
            eager = self.draw.random() < 0.1 + step / most_tokens
            token_id = self.draw.choice(closing if closing and eager else ids)
            assert matcher.accept(token_id)
            if token_id in self.end_ids:
                return out
            out += self.spelled[token_id]
        return None


def judge(schema: Any) -> Judge:
    """Says what is wrong with a document; empty when nothing is. Decimals keep multipleOf exact."""
    exact = json.loads(json.dumps(schema), parse_float=Decimal)
    kind = jsonschema.validators.validator_for(exact, default=jsonschema.Draft202012Validator)
    validator = kind(exact, format_checker=kind.FORMAT_CHECKER)

    def verdict(text: str) -> str:
        try:
            document = json.loads(text, parse_float=Decimal)
        except ValueError as error:
            return f"no JSON: {error}"
        with decimal.localcontext(prec=MOST_DIGITS):
            fault = next(iter(validator.iter_errors(document)), None)
        return "" if fault is None else f"{fault.json_path}: {fault.message[:200]}"

    return verdict


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--outputs", type=int, default=10, help="documents for each schema")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    writer = Writer(random.Random(arguments.seed))
    counts: collections.Counter[str] = collections.Counter()
    slowest = (0.0, "")
    for line in arguments.path.read_text().splitlines():
        entry = json.loads(line)
        began_s = time.perf_counter()
        try:
            grammar = writer.compile("json_schema", json.dumps(entry["schema"]))
        except GrammarFailed as failed:
            counts["refused"] += 1
            print(f"refused  {entry['name']}: {failed}")
            continue
        slowest = max(slowest, (time.perf_counter() - began_s, entry["name"]))
        counts["compiled"] += 1
        verdict = judge(entry["schema"])
        for _ in range(arguments.outputs):
            document = writer.write(grammar)
            counts["outputs" if document is not None else "unfinished"] += 1
            if document is not None and (wrong := verdict(document.decode())):
                counts["wrong"] += 1
                print(f"wrong    {entry['name']}: {wrong}: {document.decode()[:300]}")
    print(", ".join(f"{counts[key]} {key}" for key in ("compiled", "refused", "outputs", "wrong", "unfinished")))
    print(f"slowest compile {slowest[0]:.2f} s: {slowest[1]}")
    return 1 if counts["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
