"""`xylem chat`: owns one conversation between a person (or a pipe) and a gateway.

Comes in: lines of text. Goes out: HTTP requests to the OpenAI-compatible API, and the answers as they arrive.
"""
