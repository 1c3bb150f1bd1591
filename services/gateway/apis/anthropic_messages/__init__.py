"""Anthropic's /v1/messages, translated into chat completions and back.

Comes in: the body of a message, or of a question how many tokens it has.
Goes out: a chat body for `chat_request`; what the pipeline gives for it leaves as a Message or as its named events.
Errors under this path have Anthropic's shape, wherever in the gateway they come from.
"""
