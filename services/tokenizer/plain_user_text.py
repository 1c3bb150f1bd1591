"""Text that users type stays text: a token of the vocabulary that is spelled out in it ends no turn and opens none."""

import re
import secrets
from collections.abc import Iterable
from typing import Any

# Who speaks for a user: what a tool returns is as much a stranger's as what a person types.
ROLES = ("user", "tool")


class PlainUserText:
    """Breaks tokens in two where users spell them, before a chat template puts its own around the text.

    The halves are encoded by themselves, and neither is a token. Text and what the model reads stay the same, character
    by character. The mark between them can't be guessed, so nobody can type it.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        """tokens: the added tokens of a vocabulary, special or not."""
        self._mark = f"\ufdd0{secrets.token_hex(8)}\ufdd1"
        words = [re.escape(token) for token in tokens if len(token) > 1 and not token.isspace()]
        # Looking ahead finds tokens that overlap, too.
        self._starts = re.compile(f"(?={'|'.join(words)})(.)", re.DOTALL) if words else None

    def mark_messages(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Returns the messages for the template, with marks in what users say."""
        if self._starts is None:
            return messages
        return [self._marked(message) if message["role"] in ROLES else message for message in messages]

    def split_prompt(self, prompt: str) -> list[str]:
        """Returns the parts of a rendered prompt that are to be encoded by themselves."""
        return prompt.split(self._mark)

    def _marked(self, message: dict[str, Any]) -> dict[str, Any]:
        content = message.get("content")
        if self._starts is None or not isinstance(content, str):
            return message
        return {**message, "content": self._starts.sub(rf"\1{self._mark}", content)}
