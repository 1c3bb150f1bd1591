"""Small chat templates in the manner of families of models: how they mark turns, thoughts and calls, and no more."""

# Hybrid: an empty pair of markers stands for no thoughts, and thoughts of old turns are left away.
QWEN3 = r"""{%- for m in messages %}
{%- set content = m.content or '' %}
{%- if m.role == 'assistant' and '</think>' in content %}
{%- set thoughts = content.split('</think>')[0].split('<think>')[-1].strip('\n') %}
{%- set content = content.split('</think>')[-1].lstrip('\n') %}
{%- if loop.last %}{%- set content = '<think>\n' + thoughts + '\n</think>\n\n' + content %}{%- endif %}
{%- endif %}
{{- '<|im_start|>' + m.role + '\n' + content }}
{%- for call in m.tool_calls or [] %}
{{- '\n<tool_call>\n{"name": "' + call.function.name + '", "arguments": ' }}
{{- call.function.arguments | tojson }}{{ '}\n</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\n' }}
{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}
{%- endif %}"""

# Hybrid, and thinks unless it is told not to: one of the markers is always written.
DEEPSEEK_V31 = r"""{%- if thinking is not defined %}{% set thinking = false %}{% endif %}
{%- set ns = namespace(user=false) %}
{%- for m in messages %}
{%- if m.role == 'user' %}{% set ns.user = true %}{{ '<｜User｜>' + m.content }}
{%- elif m.role == 'assistant' %}
{%- if ns.user %}{{ '<｜Assistant｜></think>' }}{% endif %}{% set ns.user = false %}
{%- if m.tool_calls %}
{%- if m.content is none %}{{ '<｜tool▁calls▁begin｜>' }}{% else %}{{ m.content + '<｜tool▁calls▁begin｜>' }}{% endif %}
{%- for c in m.tool_calls %}
{{- '<｜tool▁call▁begin｜>' + c.function.name + '<｜tool▁sep｜>' + c.function.arguments + '<｜tool▁call▁end｜>' }}
{%- endfor %}
{{- '<｜tool▁calls▁end｜>' }}
{%- else %}{{ m.content }}{% endif %}
{{- '<｜end▁of▁sentence｜>' }}
{%- elif m.role == 'tool' %}{% set ns.user = false %}
{{- '<｜tool▁output▁begin｜>' + m.content + '<｜tool▁output▁end｜>' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt and ns.user %}
{{- '<｜Assistant｜>' }}{% if thinking %}{{ '<think>' }}{% else %}{{ '</think>' }}{% endif %}
{%- endif %}"""

# It always thinks, whatever it is told.
ALWAYS_THINKING = r"""{%- for m in messages %}{{ '<|' + m.role + '|>\n' + (m.content or '') + '<|end|>\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>\n<think>\n' }}{% endif %}
{#- <tool_call> </think> #}"""

# It always thinks, and writes the beginning of an answer whether or not it is asked for.
ALWAYS_OPEN = r"""{%- for m in messages %}{{ '[' + m.role + ']' + (m.content or '') + '\n' }}{% endfor %}
{{- '[assistant]<think>' }}"""

# Its markers are other ones.
MISTRAL = r"""{%- for m in messages %}
{%- if m.role == 'user' %}{{ '[INST]' + m.content + '[/INST]' }}{% else %}{{ m.content + '</s>' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt and think %}{{ '[THINK]' }}{% endif %}{# [/THINK] [TOOL_CALLS] #}"""

GPT_OSS = r"""{%- for m in messages %}
{%- if m.role == 'assistant' %}
{%- if m.thinking %}{{ '<|start|>assistant<|channel|>analysis<|message|>' + m.thinking + '<|end|>' }}{% endif %}
{{- '<|start|>assistant<|channel|>final<|message|>' + m.content + '<|return|>' }}
{%- else %}{{ '<|start|>' + m.role + '<|message|>' + m.content + '<|end|>' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|start|>assistant' }}{% if no_thoughts %}{{ '<|channel|>final<|message|>' }}{% endif %}
{%- endif %}"""


# How templates write the calls of old turns. DeepSeek V3's adds strings, and shows calls only where content is none.
DEEPSEEK_V3_CALLS = r"""{%- for m in messages %}
{%- if m['role'] == 'assistant' and m['content'] is none %}
{%- for c in m['tool_calls'] %}
{{- '<call>' + c['function']['name'] + '\n```json\n' + c['function']['arguments'] + '\n```</call>' }}
{%- endfor %}
{%- elif m['role'] == 'assistant' and m['content'] is not none %}{{ '<say>' + m['content'] + '</say>' }}
{%- endif %}
{%- endfor %}"""

# Llama's, Qwen's and Hermes' write an object as JSON.
TOJSON_CALLS = r"""{%- for m in messages if m.role == 'assistant' %}{{ '<say>' ~ m.content ~ '</say>' }}
{%- for c in m.tool_calls %}{%- if c.function %}{% set c = c.function %}{% endif %}
{{- '<call>{"name": "' + c.name + '", "arguments": ' }}
{%- if c.arguments is string %}{{ c.arguments }}{% else %}{{ c.arguments | tojson }}{% endif %}{{ '}</call>' }}
{%- endfor %}{%- endfor %}"""

# GLM's and Qwen3-Coder's write each argument by itself.
ITEMS_CALLS = r"""{%- for m in messages if m.role == 'assistant' %}
{%- if m.content is string and m.content | trim | length > 0 %}{{ '<say>' + m.content + '</say>' }}{% endif %}
{%- for c in m.tool_calls %}
{{- '<call>' + c.function.name }}
{%- for key, value in c.function.arguments | items %}{{ '<key>' + key + '</key>' ~ value }}{% endfor %}{{ '</call>' }}
{%- endfor %}{%- endfor %}"""

# Others print what there is.
PRINTED_CALLS = r"""{%- for m in messages if m.role == 'assistant' %}
{%- if m.content == none or m.content == '' %}{{ '<none>' }}{% else %}{{ m.content }}{% endif %}
{%- for c in m.tool_calls %}{{ '<call>' }}{{ c.function.name }}({{ c.function.arguments }}){{ '</call>' }}{% endfor %}
{%- endfor %}"""
