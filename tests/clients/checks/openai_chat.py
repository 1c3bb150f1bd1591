"""Chat completions: whole, streamed, several at once, with log probabilities, cut short and cancelled."""

import asyncio
from collections import defaultdict
from typing import Any

from checking import ANY_KEY, MODEL, URL, check, equal, holds, soon
from known import COUNT, COUNTED, FRANCE, LONG_STORY, MADRID, PARIS, SEVEN, SPAIN_TOO, SUM
from openai import AsyncOpenAI
from openai_client import ask, chat, client

FRANCE_THEN_SPAIN = [
    {"role": "user", "content": FRANCE},
    {"role": "assistant", "content": PARIS},
    {"role": "user", "content": SPAIN_TOO},
]


@check
def chat_answers() -> None:
    answer = chat(FRANCE)
    equal(answer.choices[0].message.content, PARIS)
    equal(answer.choices[0].message.role, "assistant")
    equal(answer.choices[0].finish_reason, "stop")
    equal(answer.model, MODEL)
    usage = answer.usage
    equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)
    holds(usage.completion_tokens >= 4, usage)


@check
def chat_remembers_earlier_turns() -> None:
    equal(chat(FRANCE_THEN_SPAIN).choices[0].message.content, MADRID)


@check
def chat_reads_a_system_message_and_text_parts() -> None:
    parts = [{"type": "text", "text": "What is the capital"}, {"type": "text", "text": " of France?"}]
    messages = [{"role": "developer", "content": "You are helpful."}, {"role": "user", "content": parts}]
    equal(chat(messages).choices[0].message.content, PARIS)


@check
def chat_streams() -> None:
    chunks = list(chat(COUNT, stream=True, stream_options={"include_usage": True}))
    *text, last = chunks
    equal("".join(chunk.choices[0].delta.content or "" for chunk in text), COUNTED)
    equal(text[0].choices[0].delta.role, "assistant")
    equal([chunk.choices[0].finish_reason for chunk in text][-1], "stop")
    equal(len({chunk.id for chunk in chunks}), 1)
    holds(len(text) > 2, len(text))  # a busy server puts tokens together
    equal(last.choices, [])
    equal(last.usage.total_tokens, last.usage.prompt_tokens + last.usage.completion_tokens)


@check
def chat_stream_helper_builds_the_answer() -> None:
    with client.chat.completions.stream(model=MODEL, messages=ask(FRANCE), temperature=0) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    equal("".join(deltas), PARIS)
    equal(final.choices[0].message.content, PARIS)


@check
def chat_gives_n_answers() -> None:
    answer = chat(FRANCE, n=3)
    equal([choice.index for choice in answer.choices], [0, 1, 2])
    equal([choice.message.content for choice in answer.choices], [PARIS] * 3)


@check
def chat_streams_n_answers() -> None:
    texts: dict[int, str] = defaultdict(str)
    for chunk in chat(SUM, n=2, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    equal(dict(texts), {0: SEVEN, 1: SEVEN})


@check
def chat_gives_log_probabilities() -> None:
    content = chat(FRANCE, logprobs=True, top_logprobs=2).choices[0].logprobs.content
    # The token that ended the answer is scored, and is no part of its text.
    equal("".join(token.token for token in content[:-1]), PARIS)
    for token in content:
        equal(len(token.top_logprobs), 2)
        equal(token.top_logprobs[0].token, token.token)  # at temperature 0 the likeliest is taken
        equal(bytes(token.bytes).decode(), token.token)
        holds(token.top_logprobs[1].logprob < token.logprob <= 0, token)


@check
def chat_streams_log_probabilities() -> None:
    pieces = [chunk.choices[0] for chunk in chat(FRANCE, logprobs=True, stream=True)]
    tokens = [token.token for piece in pieces if piece.logprobs for token in piece.logprobs.content]
    equal("".join(tokens[:-1]), PARIS)


@check
def chat_ends_at_a_stop_string() -> None:
    choice = chat(COUNT, stop=["6"]).choices[0]
    equal(choice.message.content, "3, 4, 5, ")
    equal(choice.finish_reason, "stop")


@check
def chat_ends_at_the_wanted_length() -> None:
    answer = chat(COUNT, max_completion_tokens=3)
    equal(answer.choices[0].finish_reason, "length")
    equal(answer.usage.completion_tokens, 3)
    holds(COUNTED.startswith(answer.choices[0].message.content), answer)


@check
def chat_draws_the_same_from_the_same_seed() -> None:
    def drawn(seed: int) -> str:
        text = chat(LONG_STORY, temperature=2, seed=seed, max_tokens=24).choices[0].message.content
        return str(text)

    once = [drawn(seed) for seed in range(4)]
    equal([drawn(seed) for seed in range(4)], once)
    holds(len(set(once)) > 1, once)


@check
def a_bias_forbids_a_token() -> None:
    paris: Any = client.post("/tokenize", body={"prompt": " Paris"}, cast_to=object)
    content = chat(FRANCE, logit_bias={str(paris["tokens"][0]): -100}).choices[0].message.content
    holds(content.startswith("The capital of France is") and "Paris" not in content, content)


@check
def a_cancelled_stream_stops_running() -> None:
    def num_running() -> int:
        loads: Any = client.get("/loads", cast_to=object)
        return int(loads["aggregate"]["total_running_reqs"])

    stream = chat(LONG_STORY, stream=True, max_tokens=3000, extra_body={"ignore_eos": True})
    soon(lambda: num_running() == 1)
    stream.close()
    soon(lambda: num_running() == 0)  # 3000 tokens would take far longer


@check
def many_ask_at_once_from_asyncio() -> None:
    async def answers() -> list[str | None]:
        async with AsyncOpenAI(base_url=f"{URL}/v1", api_key=ANY_KEY, max_retries=0) as asking:
            wanted = [
                asking.chat.completions.create(
                    model=MODEL, messages=ask(f"What is {a} plus 4?"), temperature=0, max_tokens=16
                )
                for a in range(1, 9)
            ]
            return [answer.choices[0].message.content for answer in await asyncio.gather(*wanted)]

    equal(asyncio.run(answers()), [f"{a} plus 4 is {a + 4}." for a in range(1, 9)])


@check
def a_raw_response_can_be_parsed() -> None:
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=ask(FRANCE), temperature=0)
    equal((raw.status_code, raw.headers["content-type"]), (200, "application/json"))
    equal(raw.parse().choices[0].message.content, PARIS)
