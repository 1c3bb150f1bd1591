"""Prompts as vectors: embeddings, and what is computed from them.

Comes in: bodies of /v1/embeddings, /v1/score and /v1/rerank. Goes out: a `GenerationRequest` for vectors
instead of tokens, and answers made of them. Nothing here loads numpy: vectors are short, and a gateway stays light.
"""
