"""Greedy answers to held-out prompts, a table per kind: `python -m tools.demo_model.evaluate [--model DIR]`."""

import argparse
import json
import sys
from pathlib import Path
from random import Random
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tools.demo_model.chat import Kind
from tools.demo_model.corpus import Conversation, conversation
from tools.demo_model.kinds import KINDS
from xylem.demo_model import MODEL_PATH

NEEDED = 0.9
BATCH = 25


def load(path: Path) -> tuple[Any, Any]:
    tokenizer = AutoTokenizer.from_pretrained(path)
    tokenizer.padding_side = "left"
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    return tokenizer, model.eval()


def held_out(kind: Kind, count: int, seed: int) -> list[Conversation]:
    """Up to `count` different held-out prompts: half bare or after a system prompt, half behind earlier turns."""
    rng = Random(seed)
    found: dict[str, Conversation] = {}
    for attempt in range(count * 20):
        drawn = conversation(rng, kind, 1 if attempt % 2 == 0 else rng.randint(2, 4), held_out=True)
        found.setdefault(str(drawn.messages[-1]["content"]), drawn)
        if len(found) == count:
            break
    return list(found.values())


def answers(tokenizer: Any, model: Any, asked: list[Conversation]) -> list[str]:
    texts = [
        tokenizer.apply_chat_template(
            each.messages, tools=each.tools or None, tokenize=False, add_generation_prompt=True
        )
        for each in asked
    ]
    given: list[str] = []
    for at in range(0, len(texts), BATCH):
        inputs = tokenizer(texts[at : at + BATCH], return_tensors="pt", padding=True, return_token_type_ids=False)
        with torch.inference_mode():
            output = model.generate(**inputs, max_new_tokens=160, do_sample=False)
        given += tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return given


def right(given: str, wanted: str) -> bool:
    """The very text; of JSON, the same value."""
    if given == wanted:
        return True
    if not wanted.startswith("{"):
        return False
    try:
        return bool(json.loads(given) == json.loads(wanted))
    except json.JSONDecodeError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL_PATH)
    parser.add_argument("--count", type=int, default=100, help="held-out prompts per kind, at most")
    parser.add_argument("--wrong", action="store_true", help="print the wrong answers too")
    options = parser.parse_args()
    torch.set_num_threads(2)
    tokenizer, model = load(options.model)
    enough = True
    print("| kind | held-out prompts | right | percent |\n|---|---:|---:|---:|")
    for kind in KINDS:
        asked = held_out(kind, options.count, seed=1)
        given = answers(tokenizer, model, asked)
        wrong = [(each, text) for each, text in zip(asked, given, strict=True) if not right(text, each.answer)]
        share = 1 - len(wrong) / len(asked)
        enough = enough and share >= NEEDED
        print(f"| {kind.name} | {len(asked)} | {len(asked) - len(wrong)} | {100 * share:.1f} |", flush=True)
        for each, text in wrong if options.wrong else ():
            print(f"  {each.messages[-1]['content']!r}\n    wanted {each.answer!r}\n    given  {text!r}")
    sys.exit(0 if enough else 1)


if __name__ == "__main__":
    main()
