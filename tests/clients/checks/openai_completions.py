"""Plain completions, embeddings and the list of models."""

import math

from checking import MODEL, check, equal, holds
from known import ONCE
from openai_client import client


def complete(prompt: str | list[str], **fields: object) -> object:
    """A completion at temperature 0."""
    return client.completions.create(**{"model": MODEL, "prompt": prompt, "temperature": 0, "max_tokens": 8, **fields})


@check
def a_completion_goes_on() -> None:
    answer = complete(ONCE)
    equal(answer.choices[0].text[:6], " there")
    equal(answer.choices[0].finish_reason, "length")
    equal(answer.usage.completion_tokens, 8)


@check
def a_completion_echoes_with_log_probabilities() -> None:
    alone = complete(ONCE).choices[0].text
    choice = complete(ONCE, echo=True, logprobs=2).choices[0]
    equal(choice.text, ONCE + alone)
    scored = choice.logprobs
    equal("".join(scored.tokens), choice.text)
    equal([choice.text[at:].startswith(token) for at, token in zip(scored.text_offset, scored.tokens, strict=True)],
          [True] * len(scored.tokens))  # fmt: skip
    equal(scored.token_logprobs[0], None)  # nothing comes before the first token of the prompt
    holds(all(value <= 0 for value in scored.token_logprobs[1:]), scored.token_logprobs)
    # The generated tokens were the likeliest ones.
    for token, top in zip(scored.tokens[-8:], scored.top_logprobs[-8:], strict=True):
        equal(max(top, key=top.get), token)


@check
def a_prompt_alone_can_be_scored() -> None:
    choice = complete(ONCE, echo=True, logprobs=1, max_tokens=0).choices[0]
    equal(choice.text, ONCE)
    equal(choice.finish_reason, "length")
    equal(len(choice.logprobs.token_logprobs), len(choice.logprobs.tokens))


@check
def a_completion_streams() -> None:
    chunks = list(complete(ONCE, stream=True, stream_options={"include_usage": True}))
    equal("".join(choice.text for chunk in chunks for choice in chunk.choices), complete(ONCE).choices[0].text)
    equal(chunks[-2].choices[0].finish_reason, "length")
    equal(chunks[-1].usage.completion_tokens, 8)


@check
def several_prompts_are_several_answers() -> None:
    prompts = [ONCE, "The quick brown fox"]
    answer = complete(prompts, n=2)
    equal([choice.index for choice in answer.choices], [0, 1, 2, 3])
    alone = [complete(prompt).choices[0].text for prompt in prompts]
    equal([choice.text for choice in answer.choices], [alone[0], alone[0], alone[1], alone[1]])


@check
def the_best_of_three_is_given() -> None:
    answer = complete(ONCE, best_of=3, n=1, temperature=1, seed=1)
    equal(len(answer.choices), 1)
    equal(answer.usage.completion_tokens, 24)


@check
def embeddings_are_vectors_of_length_one() -> None:
    # The package asks for base64 of its own accord, and unpacks it.
    answer = client.embeddings.create(model=MODEL, input=["red green blue", "cat dog"])
    equal([item.index for item in answer.data], [0, 1])
    for item in answer.data:
        holds(math.isclose(math.hypot(*item.embedding), 1, abs_tol=1e-5), math.hypot(*item.embedding))
    equal(answer.usage.prompt_tokens, answer.usage.total_tokens)
    floats = client.embeddings.create(model=MODEL, input="red green blue", encoding_format="float")
    holds(all(math.isclose(a, b, abs_tol=1e-4) for a, b in
              zip(floats.data[0].embedding, answer.data[0].embedding, strict=True)), "other numbers")  # fmt: skip
    holds(answer.data[0].embedding != answer.data[1].embedding, "the same vector twice")


@check
def embeddings_can_be_shorter() -> None:
    whole = client.embeddings.create(model=MODEL, input="cat dog").data[0].embedding
    short = client.embeddings.create(model=MODEL, input="cat dog", dimensions=64).data[0].embedding
    equal(len(short), 64)
    length = math.hypot(*whole[:64])
    holds(all(math.isclose(a, b / length, abs_tol=1e-4) for a, b in zip(short, whole, strict=False)), short[:4])


@check
def models_are_listed() -> None:
    equal([model.id for model in client.models.list()], [MODEL])
    model = client.models.retrieve(MODEL)
    equal((model.id, model.object), (MODEL, "model"))
    holds(model.created > 0, model)
