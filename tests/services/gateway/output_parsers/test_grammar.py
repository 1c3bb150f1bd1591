"""What the grammars of forced calls let a model write is what the parsers read."""

import json
from random import Random
from typing import Any

import pytest
import torch
import xgrammar
from jsonschema import Draft202012Validator
from transformers import PreTrainedTokenizerFast

from tests.services.gateway.output_parsers.taking_apart import TOOLS, WEATHER, family, whole
from xylem.services.gateway.output_parsers import Family, allowed_calls, forced_calls
from xylem.services.gateway.output_parsers.grammar import CALL_GRAMMARS
from xylem.shared.model_info.model_card import DEMONSTRATION, locate

LONG = 150  # tokens after which a walk may give up: a model would run into its limit
PLACE: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "place",
        "parameters": {
            "type": "object",
            "$defs": {"point": {"type": "array", "items": {"type": "integer"}, "maxItems": 2}},
            "properties": {"at": {"$ref": "#/$defs/point"}, "kind": {"enum": ["a", "b"]}, "seen": {"type": "boolean"}},
        },
    },
}
OFFER = [*TOOLS, PLACE]
SCHEMAS = {tool["function"]["name"]: tool["function"].get("parameters", {"type": "object"}) for tool in OFFER}


class Grammars:
    """Compiles structural tags for the demonstration's tokenizer."""

    def __init__(self) -> None:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(locate(DEMONSTRATION))
        self.info = xgrammar.TokenizerInfo.from_huggingface(tokenizer)
        self.words: list[bytes] = self.info.decoded_vocab
        self.stops = set(self.info.stop_token_ids)
        marks = (b'"', b"}", b"]", b"</", b")")
        self.closing = {token for token, word in enumerate(self.words) if word.strip().startswith(marks)}
        self.compiler = xgrammar.GrammarCompiler(self.info)

    def matcher(self, tag: str) -> xgrammar.GrammarMatcher:
        return xgrammar.GrammarMatcher(self.compiler.compile_structural_tag(tag))

    def accepts(self, tag: str, text: str) -> bool:
        matcher = self.matcher(tag)
        return bool(matcher.accept_string(text)) and any(
            matcher.accept_token(stop) for stop in self.info.stop_token_ids
        )

    def walk(self, tag: str, random: Random) -> str | None:
        """Some text that the grammar allows, and None for one that got too long. Tokens that close come sooner."""
        matcher = self.matcher(tag)
        mask = xgrammar.allocate_token_bitmask(1, self.info.vocab_size)
        bits = torch.arange(32, dtype=torch.int32)
        text = b""
        for _ in range(LONG):
            matcher.fill_next_token_bitmask(mask)
            allowed = ((mask[0][:, None] >> bits) & 1).flatten().nonzero().flatten().tolist()
            going_on = [token for token in allowed if token not in self.stops]
            if len(going_on) < len(allowed) and (not going_on or random.random() < 0.7):
                return text.decode("utf-8", "replace")
            closing = [token for token in going_on if token in self.closing]
            token = random.choice(closing if closing and random.random() < 0.7 else going_on)
            assert matcher.accept_token(token)
            text += self.words[token]
        return None


@pytest.fixture(scope="module")
def grammars() -> Grammars:
    return Grammars()


@pytest.mark.parametrize("format_", CALL_GRAMMARS)
def test_what_is_forced_is_read_as_calls(grammars: Grammars, format_: str) -> None:
    model = family(format_)
    tag = forced_calls(model, OFFER, name=None, at_most_one=False)
    done = 0
    for seed in range(12):
        text = grammars.walk(tag, Random(seed))
        if text is None:
            continue
        done += 1
        content, reasoning, calls = whole(model, list(text), tools=OFFER)
        assert calls
        assert content == "", text
        # gpt-oss is free to think first.
        assert not reasoning or format_ == "gpt_oss"
        for name, arguments in calls:
            problems = list(Draft202012Validator(SCHEMAS[name]).iter_errors(json.loads(arguments)))
            assert problems == [], text
    assert done > 3


@pytest.mark.parametrize("format_", CALL_GRAMMARS)
def test_a_named_tool_is_the_only_one(grammars: Grammars, format_: str) -> None:
    model = family(format_)
    tag = forced_calls(model, OFFER, name="now", at_most_one=True)
    for seed in range(4):
        text = grammars.walk(tag, Random(seed))
        if text is not None:
            assert [name for name, _ in whole(model, [text], tools=OFFER)[2]] == ["now"]


PARIS = '{"city": "Paris"}'
# Two calls, get_weather in Paris and now, as each family writes them by itself.
OWN = {
    "hermes": f'<tool_call>\n{{"name": "get_weather", "arguments": {PARIS}}}\n</tool_call>\n'
    '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>',
    "qwen3_coder": "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n"
    "</tool_call>\n"
    "<tool_call>\n<function=now>\n</function>\n</tool_call>",
    "llama3_json": f'{{"name": "get_weather", "parameters": {PARIS}}}; {{"name": "now", "parameters": {{}}}}',
    "pythonic": '[get_weather(city="Paris"), now()]',
    "mistral": f'[TOOL_CALLS][{{"name": "get_weather", "arguments": {PARIS}}}, {{"name": "now", "arguments": {{}}}}]',
    "mistral_v11": f"[TOOL_CALLS]get_weather[ARGS]{PARIS}[TOOL_CALLS]now[ARGS]{{}}",
    "deepseek_v3": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n"
    f"```json\n{PARIS}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n"
    "```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    "deepseek_v31": f"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{PARIS}<｜tool▁call▁end｜>"
    "<｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    "glm45": "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>\n"
    "<tool_call>now\n</tool_call>",
    "glm47": "<tool_call>get_weather<arg_key>city</arg_key><arg_value>Paris</arg_value></tool_call>"
    "<tool_call>now</tool_call>",
    "deepseek_v32": "<｜DSML｜function_calls>\n"
    '<｜DSML｜invoke name="get_weather">\n<｜DSML｜parameter name="city" string="true">Paris</｜DSML｜parameter>\n'
    '</｜DSML｜invoke>\n<｜DSML｜invoke name="now">\n</｜DSML｜invoke>\n</｜DSML｜function_calls>',
    "minimax_m2": '<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">Paris</parameter>\n'
    '</invoke>\n<invoke name="now">\n</invoke>\n</minimax:tool_call>',
    "gemma4": '<|tool_call>call:get_weather{city:<|"|>Paris<|"|>}<tool_call|><|tool_call>call:now{}<tool_call|>',
    "cohere": '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "get_weather", "parameters": {"city": "Paris"}}, '
    '{"tool_call_id": "1", "tool_name": "now", "parameters": {}}]<|END_ACTION|>',
    "kimi_k2": "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>"
    f"{PARIS}<|tool_call_end|><|tool_call_begin|>functions.now:1<|tool_call_argument_begin|>{{}}<|tool_call_end|>"
    "<|tool_calls_section_end|>",
}


@pytest.mark.parametrize("format_", OWN)
def test_two_calls_as_a_family_writes_them(grammars: Grammars, format_: str) -> None:
    model = family(format_)
    assert whole(model, [OWN[format_]]) == ("", "", [("get_weather", PARIS), ("now", "{}")])
    assert grammars.accepts(forced_calls(model, TOOLS, name=None, at_most_one=False), OWN[format_])
    assert not grammars.accepts(forced_calls(model, TOOLS, name=None, at_most_one=True), OWN[format_])
    assert not grammars.accepts(forced_calls(model, TOOLS, name="now", at_most_one=False), OWN[format_])


def test_gpt_oss_calls_once_after_its_thoughts(grammars: Grammars) -> None:
    model = family("gpt_oss")
    thoughts = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant"
    call = "<|channel|>commentary to=functions.now <|constrain|>json<|message|>{}"
    tag = forced_calls(model, TOOLS, name=None, at_most_one=False)
    assert grammars.accepts(tag, call)
    assert grammars.accepts(tag, thoughts + call)
    assert not grammars.accepts(tag, call + call)
    assert whole(model, [thoughts + call]) == ("", "Hm.", [("now", "{}")])


CALL = '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'


def test_hermes_calls_right_and_wrong(grammars: Grammars) -> None:
    model = family("hermes")
    several = forced_calls(model, TOOLS, name=None, at_most_one=False)
    single = forced_calls(model, TOOLS, name=None, at_most_one=True)
    named = forced_calls(model, TOOLS, name="get_weather", at_most_one=False)
    assert grammars.accepts(several, CALL)
    assert grammars.accepts(several, f"{CALL}\n{CALL}")
    assert grammars.accepts(single, CALL)
    assert not grammars.accepts(single, f"{CALL}\n{CALL}")
    assert not grammars.accepts(several, "")
    assert not grammars.accepts(several, f"Well. {CALL}")
    assert not grammars.accepts(named, CALL)
    assert not grammars.accepts(several, CALL.replace("now", "get_weather"))
    assert not grammars.accepts(several, CALL.replace("{}", '{"a": 1}'))


def test_what_cannot_be_forced_is_an_error() -> None:
    with pytest.raises(ValueError, match="no known form"):
        forced_calls(Family(), TOOLS, name=None, at_most_one=False)
    with pytest.raises(ValueError, match="no tool 'later'"):
        forced_calls(family("hermes"), TOOLS, name="later", at_most_one=False)
    with pytest.raises(ValueError, match="no tools"):
        forced_calls(family("hermes"), [], name=None, at_most_one=False)
    assert WEATHER["function"]["name"] in forced_calls(family("hermes"), TOOLS, name="get_weather", at_most_one=False)


@pytest.mark.parametrize("format_", OWN)
def test_calls_beside_text_have_the_arguments_of_their_schemas(grammars: Grammars, format_: str) -> None:
    model = family(format_)
    tag = allowed_calls(model, TOOLS, at_most_one=False)
    assert tag is not None
    is_bare = format_ in ("llama3_json", "pythonic")
    own = OWN[format_]
    for text in ("Hello.", "Hello {} [1] <b>", own, "" if is_bare else f"I look.\n{own}"):
        assert grammars.accepts(tag, text), text
    wrong = (own.replace("get_weather", "get_time"), own.replace("city", "town"))
    for text in wrong if is_bare else (*wrong, *(f"Hm. {each}" for each in wrong)):
        assert not grammars.accepts(tag, text), text


def test_calls_beside_text_of_gpt_oss_and_of_models_without_any(grammars: Grammars) -> None:
    tag = allowed_calls(family("gpt_oss"), TOOLS, at_most_one=False)
    assert tag is not None
    thoughts = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant"
    call = "<|channel|>commentary to=functions.now <|constrain|>json<|message|>{}"
    assert grammars.accepts(tag, f"{thoughts}<|channel|>final<|message|>Yes.")
    assert grammars.accepts(tag, thoughts + call)
    assert not grammars.accepts(tag, thoughts + call.replace("{}", '{"a": 1}'))
    assert allowed_calls(Family(), TOOLS, at_most_one=False) is None
