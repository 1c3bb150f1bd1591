"""OpenAI's /v1/responses, translated into chat completions and back.

Comes in: the body of a response to be made, which may go on from an earlier one.
Goes out: a chat request for the pipeline; its answer comes back as items, in a Response or in events.
A response is made by a task of its own (run.py), so that it can outlive the connection that asked for it, and has a
record in a bucket that all gateways share (archive.py), so that it can outlive the gateway that makes it.
"""
