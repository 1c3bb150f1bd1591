"""SGLang's own way to generate: POST /generate.

Comes in: bodies of its shape, one prompt or a batch.
Goes out: a `GenerationRequest`, as for every other endpoint, and answers as its clients read them.
Source: the fields and answers of SGLang 0.5 (python/sglang/srt/managers/io_struct.py).
"""
