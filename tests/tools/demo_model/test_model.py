"""The model in the repository answers its own kinds of prompt, and training is repeatable."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from tools.demo_model.chat import Kind, Message
from tools.demo_model.corpus import Conversation
from tools.demo_model.evaluate import answers, held_out, load, right
from tools.demo_model.kinds import KINDS
from tools.demo_model.tokenizer import train_tokenizer
from tools.demo_model.train import SHAPE, Plan, build, digest, fit, repeatable
from xylem.demo_model import MODEL_PATH

TINY = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
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


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_most_of_a_sample_is_right(loaded: Any, kind: Kind) -> None:
    tokenizer, model = loaded
    asked = held_out(kind, 20, seed=2)
    given = answers(tokenizer, model, asked)
    wrong = [(text, each.answer) for text, each in zip(given, asked, strict=True) if not right(text, each.answer)]
    assert len(wrong) <= 0.1 * len(asked), wrong


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


def test_training_twice_gives_the_same_weights() -> None:
    plan = Plan(steps=5, fall=2, early=10, batch_tokens=512, sample=200)
    tokenizer = train_tokenizer(plan.seed, plan.sample)

    def trained(plan: Plan) -> str:
        repeatable(plan.seed)
        model = build(tokenizer, TINY, plan.seed)
        fit(model, tokenizer, plan)
        return digest(model)

    once = trained(plan)
    assert once == trained(plan)
    assert once != trained(replace(plan, steps=4))


def test_the_induction_circuit_leans_the_right_way_before_any_training() -> None:
    repeatable(1)
    tokenizer = train_tokenizer(seed=7, sample=200)
    model = build(tokenizer, SHAPE, seed=1)
    model.set_attn_implementation("eager")
    length = 40
    once = torch.randperm(tokenizer.get_vocab_size())[:length]
    with torch.inference_mode():
        layers = model(torch.cat([once, once])[None], output_attentions=True).attentions
    before, match = (layer[0, 0] for layer in layers[:2])  # [2 * length, 2 * length], each row sums to 1
    position = torch.arange(1, 2 * length)
    assert before[position, position - 1].min() > 0.5
    second = torch.arange(length, 2 * length - 1)
    found = match[second].argmax(-1)
    # By chance one in sixty. It need not be right at once: it has to be a slope that training can climb.
    assert (found == second - length + 1).float().mean() > 0.15
