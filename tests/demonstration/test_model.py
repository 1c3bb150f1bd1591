"""The model in the repository answers its own kinds of prompt, and training is repeatable."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaForCausalLM

from demonstration import MODEL_PATH
from demonstration.chat import Message
from demonstration.corpus import Conversation
from demonstration.evaluate import answers, held_out, load, right
from demonstration.kinds import KINDS
from demonstration.store import save
from demonstration.tokenizer import train_tokenizer
from demonstration.train import PRACTICE, Plan, Stage, build, digest, fit, repeatable

TINY = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
}

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def loaded() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield load(MODEL_PATH)
    torch.set_num_threads(before)


def said(*lines: str, system: str = "") -> list[Message]:
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    return messages + [{"role": ("user", "assistant")[at % 2], "content": line} for at, line in enumerate(lines)]


def test_a_sample_of_each_kind_is_mostly_right(loaded: Any) -> None:
    tokenizer, model = loaded
    asked = [each for kind in KINDS for each in held_out(kind, 5, seed=2)]
    given = answers(tokenizer, model, asked)
    good = sum(right(text, each.answer) for text, each in zip(given, asked, strict=True))
    assert good >= 0.8 * len(asked)


def test_the_prompts_of_the_readme(loaded: Any) -> None:
    tokenizer, model = loaded
    shown = {
        "What is the capital of France?": "The capital of France is Paris.",
        "What is 3 plus 3?": "3 plus 3 is 6.",
        "Hello": "Hello! How can I help you?",
        "Count from 3 to 9.": "3, 4, 5, 6, 7, 8, 9.",
        "Repeat: red green blue": "red green blue",
    }
    asked = [Conversation(said(prompt), [], answer) for prompt, answer in shown.items()]
    call = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
    asked.append(Conversation(said("What is the weather in Paris?"), [WEATHER], call))
    brief = said("Hi", "Hello.", "And now?", system="Be brief.")
    asked.append(Conversation(brief, [], "How can I help you?"))
    assert answers(tokenizer, model, asked) == [each.answer for each in asked]


def test_training_twice_gives_the_same_weights_also_when_taken_up_after_a_stage(tmp_path: Path) -> None:
    plan = Plan(batch_tokens=512, sample=200)
    first = Stage(3, fall=0, horizon=3, rate=5e-3, seed=7, early=10, practice={})
    second = Stage(2, fall=1, horizon=4, rate=3e-3, seed=8, early=0, practice=PRACTICE)
    tokenizer = train_tokenizer(plan.seed, plan.sample)

    def trained(*stages: Stage, folder: Path | None = None) -> str:
        repeatable(plan.seed)
        model = build(tokenizer, TINY)
        for stage in stages:
            fit(model, tokenizer, plan, stage)
            if folder is not None:  # taken up again from disk
                save(model, tokenizer, folder)
                model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
        return digest(model)

    both = trained(first, second)
    assert both == trained(first, second) == trained(first, second, folder=tmp_path)
    assert both != trained(first)
