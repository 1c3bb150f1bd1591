"""The tokenizer: turns text and chat messages into checked token ids.

Owns: nothing; any number of instances may run.
Comes in: `Generate` from gateways (queue group), and `Tokenize` / `Detokenize` questions. Goes out: `Tokenized` to
the routers, or `Refused` to the gateway; replies to the questions.
"""
