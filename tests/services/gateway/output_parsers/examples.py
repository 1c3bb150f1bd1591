"""What models of each format write, and what is in it."""

from typing import NamedTuple

from tests.services.gateway.output_parsers.taking_apart import Out


class Example(NamedTuple):
    format: str
    reasoning: str
    text: str
    expected: Out


PARIS = '{"city": "Paris"}'
ONE = ("get_weather", PARIS)
EMPTY = ("now", "{}")
QUOTED = r'{"city": "say \"<tool_call>\" {[}\\", "x": {"y": [1, {"z": null}]}}'

_DS = "<｜tool▁calls▁begin｜>"
_DS_END = "<｜tool▁calls▁end｜>"
_KIMI = "<|tool_calls_section_begin|>"
_KIMI_END = "<|tool_calls_section_end|>"


def _deepseek_v3(name: str, arguments: str) -> str:
    return f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n{arguments}\n```<｜tool▁call▁end｜>"


def _deepseek_v31(name: str, arguments: str) -> str:
    return f"<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{arguments}<｜tool▁call▁end｜>"


def _kimi(name: str, number: int, arguments: str) -> str:
    return f"<|tool_call_begin|>functions.{name}:{number}<|tool_call_argument_begin|>{arguments}<|tool_call_end|>"


def _hermes(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


def _gpt_oss(name: str, arguments: str) -> str:
    return f"<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{arguments}<|call|>"


_CODER = """<tool_call>
<function=get_weather>
<parameter=city>
New
 <York> "NY"
</parameter>
<parameter=days>
3
</parameter>
<parameter=hours>
[1, 2]
</parameter>
<parameter=exact>
True
</parameter>
<parameter=note>
null
</parameter>
</function>
</tool_call>"""
_CODER_JSON = r'{"city": "New\n <York> \"NY\"", "days": 3, "hours": [1, 2], "exact": true, "note": null}'

_GLM = """<tool_call>get_weather
<arg_key>city</arg_key>
<arg_value>Bei "j" ing</arg_value>
<arg_key>days</arg_key>
<arg_value>3</arg_value>
</tool_call>"""

EXAMPLES = [
    # hermes
    Example("hermes", "none", "Hello, 3 < 4.\n", ("Hello, 3 < 4.\n", "", [])),
    Example("hermes", "none", _hermes(*ONE), ("", "", [ONE])),
    Example("hermes", "none", f"Sure.\n{_hermes(*ONE)}\n{_hermes(*EMPTY)}<|im_end|>", ("Sure.", "", [ONE, EMPTY])),
    Example("hermes", "none", _hermes("get_weather", QUOTED), ("", "", [("get_weather", QUOTED)])),
    Example("hermes", "none", _hermes(*ONE) + "\n\nDone.", ("\n\nDone.", "", [ONE])),
    Example("hermes", "none", '<tool_call>{"arguments": {"a": 1}, "name": "now"}', ("", "", [("now", '{"a": 1}')])),
    Example("hermes", "none", '<tool_call>{"name": "now"}</tool_call>', ("", "", [EMPTY])),
    Example("hermes", "none", '<tool_call>{"name": "now", "arguments": null}</tool_call>', ("", "", [EMPTY])),
    Example(
        "hermes",
        "none",
        r'<tool_call>{"name": "now", "arguments": "{\"a\": \"\ud83d\ude00\\n\"}"}</tool_call>',
        ("", "", [("now", '{"a": "😀\\n"}')]),
    ),
    Example("hermes", "none", _hermes("unknown", "{}"), (_hermes("unknown", "{}"), "", [])),
    Example("hermes", "none", "Write <tool_call> then <<tool_call>x", ("Write <tool_call> then <<tool_call>x", "", [])),
    Example("hermes", "none", f"<tool_call><tool_call>{_hermes(*ONE)}", ("<tool_call><tool_call>", "", [ONE])),
    Example("hermes", "none", f"</tool_call> {_hermes(*ONE)}", ("", "", [ONE])),
    Example(
        "hermes", "none", '<tool_call>{"name": "now", "arguments": {"a": 1</tool_call>', ("", "", [("now", '{"a": 1')])
    ),
    Example("hermes", "none", '<tool_call>{"name": "now", "arguments": {"a": 1]}', ("]}", "", [("now", '{"a": 1')])),
    # thoughts
    Example("hermes", "qwen3", "<think>\nHm. </thin\n</think>\n\nYes.", ("Yes.", "Hm. </thin", [])),
    Example("hermes", "qwen3", "<think>\n\n</think>\n\n" + _hermes(*ONE), ("", "", [ONE])),
    Example("hermes", "qwen3", "<b>No thoughts</think>", ("<b>No thoughts</think>", "", [])),
    Example("hermes", "qwen3", " <think>a <think> b</think>c</think>", ("c</think>", "a <think> b", [])),
    Example("hermes", "qwen3", "<think>No end\n", ("", "No end\n", [])),
    Example("hermes", "qwen3", _hermes(*ONE), ("", "", [ONE])),
    Example("deepseek_v3", "deepseek_r1", "Hm.\n</think>\n\nYes.", ("Yes.", "Hm.", [])),
    Example("deepseek_v3", "deepseek_r1", "<think>\nHm.\n</think>\n\nYes.", ("Yes.", "Hm.", [])),
    Example("deepseek_v3", "deepseek_r1", "</think>Yes.\n", ("Yes.\n", "", [])),
    Example("none", "kimi", "◁think▷Hm ◁/◁/think▷Yes", ("Yes", "Hm ◁/", [])),
    Example(
        "glm45",
        "glm",
        f"<think>Hm</think>\n{_GLM}",
        ("", "Hm", [("get_weather", '{"city": "Bei \\"j\\" ing", "days": 3}')]),
    ),
    # qwen3_coder
    Example("qwen3_coder", "none", f"Let me see.\n\n{_CODER}", ("Let me see.", "", [("get_weather", _CODER_JSON)])),
    Example("qwen3_coder", "none", "<function=now>\n</function>", ("", "", [EMPTY])),
    Example(
        "qwen3_coder",
        "none",
        "<tool_call><function=get_weather><parameter=city>Paris<parameter=days>many</function></tool_call> ok",
        (" ok", "", [("get_weather", '{"city": "Paris", "days": "many"}')]),
    ),
    Example("qwen3_coder", "none", "<tool_call>\n<function=rm>\n", ("<tool_call>\n<function=rm>\n", "", [])),
    Example(
        "qwen3_coder",
        "none",
        "<function=get_weather><parameter=city>\n\n a\n\n</parameter></function>",
        ("", "", [("get_weather", r'{"city": "\n a\n"}')]),
    ),
    # llama3_json
    Example("llama3_json", "none", f'{{"name": "get_weather", "parameters": {PARIS}}}<|eot_id|>', ("", "", [ONE])),
    Example(
        "llama3_json",
        "none",
        f'<|python_tag|>{{"type": "function", "name": "get_weather", "parameters": {PARIS}}}; '
        '{"name": "now"}<|eom_id|>',
        ("", "", [ONE, EMPTY]),
    ),
    Example("llama3_json", "none", '{"name": "Bob", "age": 3}', ('{"name": "Bob", "age": 3}', "", [])),
    Example("llama3_json", "none", '{"age": {"name": "now"}}', ('{"age": {"name": "now"}}', "", [])),
    Example("llama3_json", "none", '{"name": "now"}; that', ("; that", "", [EMPTY])),
    Example("llama3_json", "none", 'So: {"name": "now"}', ('So: {"name": "now"}', "", [])),
    # pythonic
    Example("pythonic", "none", "[now()]", ("", "", [EMPTY])),
    Example(
        "pythonic",
        "none",
        "<|python_start|>[get_weather(city='It\\'s \"x\"', days=-3, exact=True), "
        "get_weather(city=\"\", hours=[1, (2,), {'a': None}])]"
        "<|python_end|><|eot|>",
        (
            "",
            "",
            [
                ("get_weather", r'{"city": "It' + r"'" + r's \"x\"", "days": -3, "exact": true}'),
                ("get_weather", '{"city": "", "hours": [1, [2], {"a": null}]}'),
            ],
        ),
    ),
    Example("pythonic", "none", "[1, 2, now()]", ("[1, 2, now()]", "", [])),
    Example("pythonic", "none", "[now(1)]", ("[now(1)]", "", [])),
    Example("pythonic", "none", "[now(a=1) now()]", (" now()]", "", [("now", '{"a": 1}')])),
    # mistral
    Example(
        "mistral",
        "mistral",
        f'[THINK]Hm[/THINK][TOOL_CALLS][{{"name": "get_weather", "arguments": {PARIS}, "id": "abc"}}, '
        '{"name": "now"}]</s>',
        ("", "Hm", [ONE, EMPTY]),
    ),
    Example(
        "mistral", "none", f"a[TOOL_CALLS]get_weather[ARGS]{PARIS}[TOOL_CALLS]now{{}}</s>", ("a", "", [ONE, EMPTY])
    ),
    Example("mistral", "none", "[TOOL_CALLS]now[CALL_ID]a1[ARGS]{}", ("", "", [EMPTY])),
    Example("mistral", "none", "[TOOL_CALLS] and </s> end", ("[TOOL_CALLS] and </s> end", "", [])),
    # deepseek
    Example(
        "deepseek_v3",
        "none",
        f"Ok.{_DS}{_deepseek_v3(*ONE)}\n{_deepseek_v3(*EMPTY)}{_DS_END}<｜end▁of▁sentence｜>",
        ("Ok.", "", [ONE, EMPTY]),
    ),
    Example(
        "deepseek_v31", "none", f"{_DS}{_deepseek_v31(*ONE)}{_deepseek_v31(*EMPTY)}{_DS_END}", ("", "", [ONE, EMPTY])
    ),
    Example("deepseek_v31", "none", f"{_DS}{_deepseek_v31('x', '{}')}", (f"{_DS}{_deepseek_v31('x', '{}')}", "", [])),
    # glm45
    Example("glm45", "none", "<tool_call>now\n</tool_call>\n<tool_call>now</tool_call>", ("", "", [EMPTY, EMPTY])),
    Example("glm45", "none", "<tool_call>now\nplease</tool_call>", ("<tool_call>now\nplease</tool_call>", "", [])),
    Example(
        "glm45",
        "none",
        "<tool_call>get_weather<arg_key>any</arg_key><arg_value>[1]</arg_value><arg_key>note</arg_key>"
        "<arg_value>5</arg_value></tool_call>",
        ("", "", [("get_weather", '{"any": [1], "note": "5"}')]),
    ),
    # kimi_k2
    Example(
        "kimi_k2",
        "kimi_k2",
        f"<think>Hm {_KIMI}{_kimi('get_weather', 0, PARIS)}{_kimi('now', 1, '{}')}{_KIMI_END}<|im_end|>",
        ("", "Hm", [ONE, EMPTY]),
    ),
    Example("kimi_k2", "none", f"{_KIMI}{_kimi('x', 0, '{}')}", (f"{_KIMI}{_kimi('x', 0, '{}')}", "", [])),
    # gpt_oss
    Example(
        "gpt_oss",
        "none",
        f"<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant{_gpt_oss(*ONE)}",
        ("", "Hm.", [ONE]),
    ),
    Example(
        "gpt_oss",
        "none",
        "<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>",
        ("Yes.", "Hm", []),
    ),
    Example(
        "gpt_oss", "none", f" to=functions.get_weather<|channel|>commentary json<|message|>{PARIS}", ("", "", [ONE])
    ),
    Example("gpt_oss", "none", "<|channel|>commentary<|message|>I look.<|end|>", ("I look.", "", [])),
    Example("gpt_oss", "none", _gpt_oss("x", "{}"), (_gpt_oss("x", "{}").removesuffix("<|call|>"), "", [])),
    Example("gpt_oss", "none", "to you, plainly", ("to you, plainly", "", [])),
    # deepseek_v32
    Example(
        "deepseek_v32",
        "qwen3",
        '<think>Hm</think>Ok.\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name="get_weather">\n'
        '<｜DSML｜parameter name="city" string="true">New\n"York" <b></｜DSML｜parameter>\n'
        '<｜DSML｜parameter name="hours" string="false">[1, 2]</｜DSML｜parameter>\n'
        "</｜DSML｜invoke>\n</｜DSML｜function_calls><｜end▁of▁sentence｜>",
        ("Ok.", "Hm", [("get_weather", '{"city": "New\\n\\"York\\" <b>", "hours": [1, 2]}')]),
    ),
    Example(
        "deepseek_v32",
        "none",
        '<｜DSML｜invoke name="now"></｜DSML｜invoke>',
        ("", "", [EMPTY]),
    ),
    Example("deepseek_v32", "none", 'See <｜DSML｜invoke name="rm">', ('See <｜DSML｜invoke name="rm">', "", [])),
    # glm47
    Example(
        "glm47",
        "glm45",
        "<think>Hm</think><tool_call>get_weather<arg_key>days</arg_key><arg_value>3</arg_value></tool_call>"
        "<tool_call>now</tool_call><|observation|>",
        ("", "Hm", [("get_weather", '{"days": 3}'), EMPTY]),
    ),
    # minimax_m2
    Example(
        "minimax_m2",
        "minimax",
        '<think>\nHm\n</think>\n\nOk.\n<minimax:tool_call>\n<invoke name="get_weather">\n'
        '<parameter name="city">O\'Fallon </parameter>\n<parameter name="days">3</parameter>\n'
        '<parameter name="exact">true</parameter>\n</invoke>\n<invoke name="now">\n</invoke>\n'
        "</minimax:tool_call>[e~[",
        ("Ok.", "Hm", [("get_weather", '{"city": "O\'Fallon ", "days": 3, "exact": true}'), EMPTY]),
    ),
    Example(
        "minimax_m2",
        "none",
        '<invoke name="get_weather"><parameter name="city">Paris<parameter name="note">null</invoke>.',
        (".", "", [("get_weather", '{"city": "Paris", "note": null}')]),
    ),
    # qwen3_5
    Example(
        "qwen3_coder",
        "qwen3_5",
        f"<think>\nHm\n</think>\n\n{_CODER}<|im_end|>",
        ("", "Hm", [("get_weather", _CODER_JSON)]),
    ),
    # gemma4
    Example(
        "gemma4",
        "gemma4",
        "<|channel>thought\nHm\n<channel|>Ok.<|tool_call>call:get_weather{"
        'city:<|"|>New {"York"}, <b><|"|>,days:-3,exact:true,note:null,hours:[1,2], x:{y:[<|"|>a<|"|>,{}]}}<tool_call|>'
        "<|tool_call>call:now{}<tool_call|><turn|>",
        (
            "Ok.",
            "Hm",
            [
                (
                    "get_weather",
                    r'{"city": "New {\"York\"}, <b>", "days": -3, "exact": true, "note": null, "hours": [1, 2], '
                    '"x": {"y": ["a", {}]}}',
                ),
                EMPTY,
            ],
        ),
    ),
    Example("gemma4", "none", '<|tool_call>call:now{a: "b", c: d}', ("", "", [("now", '{"a": "b", "c": "d"}')])),
    Example("gemma4", "none", "<|tool_call>call:rm{}", ("<|tool_call>call:rm{}", "", [])),
    Example("gemma4", "none", "<|tool_call>now{}", ("<|tool_call>now{}", "", [])),
    # cohere
    Example(
        "cohere",
        "cohere",
        "<|START_THINKING|>Hm<|END_THINKING|><|START_ACTION|>[\n"
        f'    {{"tool_call_id": "0", "tool_name": "get_weather", "parameters": {PARIS}}},\n'
        '    {"tool_call_id": "1", "tool_name": "now", "parameters": {}}\n]<|END_ACTION|><|END_OF_TURN_TOKEN|>',
        ("", "Hm", [ONE, EMPTY]),
    ),
    Example(
        "cohere",
        "cohere",
        "<|START_THINKING|>Hm<|END_THINKING|><|START_RESPONSE|>Yes.<|END_RESPONSE|><|END_OF_TURN_TOKEN|>",
        ("Yes.", "Hm", []),
    ),
    Example("cohere", "none", "<|START_ACTION|>[] no", ("<|START_ACTION|>[] no", "", [])),
]
