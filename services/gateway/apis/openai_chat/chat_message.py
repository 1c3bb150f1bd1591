"""A chat message while another API's conversation is turned into chat messages."""

import msgspec

from xylem.services.gateway.fields.json_types import JsonObject


class ChatMessage(msgspec.Struct, omit_defaults=True):
    """One message of a chat body. Its tool_calls have the shape of chat completions."""

    role: str
    content: str
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[JsonObject] | None = None

    def add_call(self, identity: str, name: str, arguments: str) -> None:
        """Adds the call of a function. arguments: a JSON object as text."""
        call: JsonObject = {
            "id": identity,
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        self.tool_calls = [*(self.tool_calls or []), call]

    def to_json(self) -> JsonObject:
        """Returns the message as it stands in a body, without what it has not."""
        message: JsonObject = msgspec.to_builtins(self)
        return message
