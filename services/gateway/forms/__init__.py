"""How an answer is written: chat and plain completions, in chunks and whole.

Comes in: pieces of choices and token totals. Goes out: msgspec structs with OpenAI's field names.
"""
