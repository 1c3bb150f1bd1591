"""The gateway: owns the clients' HTTP connections and the states of their requests.

Comes in: HTTP requests of OpenAI clients; text deltas, acceptances and refusals from the other stages.
Goes out: `Generate` to the tokenizers, `Abort` to schedulers, JSON and server-sent events to clients.
It alone knows what a client has, so it alone submits a request again when a stage or a message is lost.
"""
