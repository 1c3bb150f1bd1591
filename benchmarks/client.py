"""How a request of a data set is written for a server: as a chat, as text to be completed, or as token ids."""

from dataclasses import dataclass, field
from typing import Any

from benchmarks.datasets import Ask
from benchmarks.datasets.words import token_ids
from benchmarks.record import Record
from benchmarks.stream import Target, ask


@dataclass(frozen=True)
class Client:
    """api: chat, completions, or ids, which are completions of token ids.

    more: fields for every body, such as ignore_eos, which not every server knows.
    """

    target: Target
    api: str = "chat"
    timeout_s: float = 600
    more: dict[str, Any] = field(default_factory=dict)

    def body(self, asked: Ask) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.target.model, "max_tokens": asked.num_output, "temperature": 0, "stream": True,
            "stream_options": {"include_usage": True},
        }  # fmt: skip
        if self.api == "chat":
            body["messages"] = [{"role": message.role, "content": message.content} for message in asked.messages]
        else:
            body["prompt"] = token_ids(asked.prompt) if self.api == "ids" else asked.prompt
        if asked.schema is not None:
            schema = {"name": "answer", "strict": True, "schema": asked.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body | self.more

    async def asking(self, asked: Ask, intended_s: float) -> Record:
        path = "/chat/completions" if self.api == "chat" else "/completions"
        return Record(intended_s, await ask(self.target, path, self.body(asked), self.timeout_s))
