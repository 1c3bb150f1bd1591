"""The text that comes out of the whole pipeline is what transformers' generate gives on the same weights."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.serving import Served
from tests.system.asking import PROMPTS, all_at_once

NUM_PROMPTS = 20
NUM_TOKENS = 40


@pytest.fixture(scope="module")
def expected(demo_model: Path) -> list[str]:
    tokenizer = AutoTokenizer.from_pretrained(demo_model)
    model = AutoModelForCausalLM.from_pretrained(demo_model, dtype=torch.float32)
    texts = []
    for prompt in PROMPTS[::3][:NUM_PROMPTS]:
        inputs = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        output = model.generate(**inputs, do_sample=False, max_new_tokens=NUM_TOKENS)
        texts.append(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
    return texts


@pytest.mark.parametrize("system", ["served", "tight"])
async def test_greedy_text_equals_transformers(
    system: str, request: pytest.FixtureRequest, expected: list[str]
) -> None:
    served: Served = request.getfixturevalue(system)
    answers = await all_at_once(served.url, PROMPTS[::3][:NUM_PROMPTS], max_tokens=NUM_TOKENS)
    assert [answer.text for answer in answers] == expected
