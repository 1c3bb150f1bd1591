"""The chat template of a model folder: renders messages to the text that the model was trained on."""

from collections.abc import Sequence
from typing import Any

import jinja2

from xylem.services.tokenizer.answer_prefix import answer_prefix
from xylem.shared.model_info.chat_templates import template_sources
from xylem.shared.model_info.model_card import ModelError
from xylem.shared.model_info.template_language import environment
from xylem.shared.model_info.template_values import AbsentContent
from xylem.shared.model_info.tokenizer_codec import TextCodec
from xylem.shared.runtime.errors import InvalidRequest

# Marks the end of a message that is to be continued while it is rendered. The space shows whether the template trims
# messages: then it is missing.
_MARK = "\ue000continued here\ue001 "

_RESERVED = ("messages", "tools")


class ChatTemplate:
    """The named templates of a model. 'default' is used, and 'tool_use' in its place when there are tools."""

    def __init__(self, sources: dict[str, str], special_tokens: dict[str, str]) -> None:
        """sources: text of each template by name. Raises ModelError when one can't be compiled."""
        language = environment()
        self._special_tokens = special_tokens
        self._templates: dict[str, jinja2.Template] = {}
        for name, source in sources.items():
            try:
                self._templates[name] = language.from_string(source)
            except jinja2.TemplateSyntaxError as error:
                raise ModelError(f"the model's chat template {name!r}, line {error.lineno}: {error}") from None

    @classmethod
    def load(cls, codec: TextCodec) -> "ChatTemplate":
        """Loads chat_template.jinja and additional_chat_templates/, or tokenizer_config.json's. Raises ModelError."""
        return cls(template_sources(codec.folder, codec.config), codec.special_tokens)

    def render_messages(
        self, messages: list[dict[str, Any]], tools: list[dict[str, Any]], arguments: dict[str, Any]
    ) -> str:
        """Returns the prompt. Raises InvalidRequest, with the template's own words if it refuses.

        arguments: variables for the template, add_generation_prompt and continue_final_message among them.
        """
        for name in _RESERVED:
            if name in arguments:
                raise InvalidRequest(f"chat_template_kwargs can't set {name}", param="chat_template_kwargs")
        variables = {"documents": None, **self._special_tokens, **arguments}
        continued = bool(variables.pop("continue_final_message", False))
        variables.setdefault("add_generation_prompt", not continued)
        if not continued:
            return self._render(messages, tools, variables)
        if variables["add_generation_prompt"]:
            raise InvalidRequest(
                "continue_final_message and add_generation_prompt exclude one another", param="continue_final_message"
            )
        return self._continued(messages, tools, variables)

    def answer_prefix(
        self,
        prompt: str,
        markers: Sequence[str],
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]],
        arguments: dict[str, Any],
    ) -> str:
        """Returns the beginning of the answer that a rendered prompt ends with: see answer_prefix.py."""
        variables = {"documents": None, **self._special_tokens, **arguments, "add_generation_prompt": False}
        continued = bool(variables.pop("continue_final_message", False))
        before = messages[:-1] if continued else messages

        def render_before() -> str | None:
            try:
                return self._render(before, tools, variables) if before else ""
            except InvalidRequest:  # a conversation must not end so
                return None

        return answer_prefix(prompt, markers, messages[-1]["content"] if continued else None, render_before)

    def _continued(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]], variables: dict[str, Any]) -> str:
        """The prompt up to the end of the last message's content, without the text that would close it."""
        content = messages[-1].get("content")
        if not isinstance(content, str) or isinstance(content, AbsentContent):
            raise InvalidRequest("continue_final_message: the last message has no content", param="messages")
        marked = [*messages[:-1], {**messages[-1], "content": content + _MARK}]
        before, mark, after = self._render(marked, tools, variables).rpartition(_MARK.rstrip())
        if not mark or content.strip() not in before:
            raise InvalidRequest(
                "continue_final_message: the chat template does not show the last message", param="messages"
            )
        return before if after.startswith(" ") else before.rstrip()

    def _render(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]], variables: dict[str, Any]) -> str:
        template = (self._templates.get("tool_use") if tools else None) or self._templates.get("default")
        if template is None:
            raise InvalidRequest("this model has no chat template; use /v1/completions with a prompt", param="messages")
        try:
            return template.render(messages=messages, tools=tools or None, **variables)
        except jinja2.TemplateError as error:
            raise InvalidRequest(f"the chat template refuses the messages: {error}", param="messages") from None
        except Exception as error:  # a template may do anything with fields that it did not expect
            raise InvalidRequest(
                f"the chat template can't render the messages: {type(error).__name__}: {error}", param="messages"
            ) from None
