"""Output items while they grow: each tells the log how it begins, what is added, and how it ends."""

import msgspec

from xylem.services.gateway.apis.openai_chat.logprobs import TokenLogprob, logprobs_of
from xylem.services.gateway.apis.openai_responses.event_log import EventLog
from xylem.services.gateway.apis.openai_responses.events import (
    ArgumentsDelta,
    ArgumentsDone,
    InputDone,
    ItemEvent,
    PartEvent,
    TextDelta,
    TextDone,
)
from xylem.services.gateway.apis.openai_responses.schema import (
    CustomCall,
    FunctionCall,
    MessageItem,
    OutputItem,
    OutputText,
    ReasoningText,
    Thought,
)
from xylem.services.gateway.apis.openai_responses.tools import input_of
from xylem.services.gateway.generation.logprobs import LogprobToken

Space = str | msgspec.UnsetType  # the namespace of a tool, if it has one

IN_PROGRESS = "in_progress"


class OpenMessage:
    """Text of the answer. position: the item's place in the output."""

    def __init__(self, log: EventLog, position: int, identity: str) -> None:
        self._log = log
        self._item = {"item_id": f"msg_{identity}", "output_index": position}
        self._part = {**self._item, "content_index": 0}
        self._texts: list[str] = []  # joined once: adding to a string would copy all of it each time
        self._logprobs: list[TokenLogprob] = []
        log.append_event(
            ItemEvent, "response.output_item.added", output_index=position, item=self._shape(IN_PROGRESS, ())
        )
        log.append_event(PartEvent, "response.content_part.added", **self._part, part=OutputText("", []))

    def add_text(self, text: str, scored: list[LogprobToken]) -> None:
        logprobs = logprobs_of(scored).content
        self._texts.append(text)
        self._logprobs += logprobs
        self._log.append_event(TextDelta, "response.output_text.delta", **self._part, delta=text, logprobs=logprobs)

    def close_item(self, status: str) -> OutputItem:
        """The finished item; status: completed or incomplete."""
        text, logprobs = "".join(self._texts), self._logprobs
        part = OutputText(text, logprobs)
        item = self._shape(status, (part,))
        self._log.append_event(TextDone, "response.output_text.done", **self._part, text=text, logprobs=logprobs)
        self._log.append_event(PartEvent, "response.content_part.done", **self._part, part=part)
        self._log.append_event(
            ItemEvent, "response.output_item.done", output_index=self._item["output_index"], item=item
        )
        return item

    def _shape(self, status: str, content: tuple[OutputText, ...]) -> MessageItem:
        return MessageItem(str(self._item["item_id"]), status, content)


class OpenThought:
    """Writes what the model thinks."""

    def __init__(self, log: EventLog, position: int, identity: str) -> None:
        self._log = log
        self._item = {"item_id": f"rs_{identity}", "output_index": position}
        self._part = {**self._item, "content_index": 0}
        self._texts: list[str] = []
        log.append_event(
            ItemEvent, "response.output_item.added", output_index=position, item=self._shape(IN_PROGRESS, ())
        )
        log.append_event(PartEvent, "response.content_part.added", **self._part, part=ReasoningText(""))

    def add_text(self, text: str) -> None:
        self._texts.append(text)
        self._log.append_event(TextDelta, "response.reasoning_text.delta", **self._part, delta=text)

    def close_item(self, status: str) -> OutputItem:
        """Ends as a message does."""
        text = "".join(self._texts)
        part = ReasoningText(text)
        item = self._shape(status, (part,))
        self._log.append_event(TextDone, "response.reasoning_text.done", **self._part, text=text)
        self._log.append_event(PartEvent, "response.content_part.done", **self._part, part=part)
        self._log.append_event(
            ItemEvent, "response.output_item.done", output_index=self._item["output_index"], item=item
        )
        return item

    def _shape(self, status: str, content: tuple[ReasoningText, ...]) -> Thought:
        return Thought(str(self._item["item_id"]), status, content)


class OpenCall:
    """The call of a function."""

    def __init__(self, log: EventLog, position: int, identity: str, name: str, space: Space = msgspec.UNSET) -> None:
        self._log = log
        self._identity = identity
        self._item = {"item_id": f"fc_{identity}", "output_index": position}
        self._name = name
        self._space = space
        self._arguments: list[str] = []
        log.append_event(ItemEvent, "response.output_item.added", output_index=position, item=self._shape(IN_PROGRESS))

    def add_text(self, text: str) -> None:
        self._arguments.append(text)
        self._log.append_event(ArgumentsDelta, "response.function_call_arguments.delta", **self._item, delta=text)

    def close_item(self, status: str) -> OutputItem:
        """Ends as a message does."""
        item = self._shape(status)
        kind = "response.function_call_arguments.done"
        self._log.append_event(ArgumentsDone, kind, **self._item, name=self._name, arguments=item.arguments)
        self._log.append_event(
            ItemEvent, "response.output_item.done", output_index=self._item["output_index"], item=item
        )
        return item

    def _shape(self, status: str) -> FunctionCall:
        call_id = f"call_{self._identity}"
        arguments = "".join(self._arguments)
        return FunctionCall(str(self._item["item_id"]), status, call_id, self._name, arguments, self._space)


class OpenCustomCall:
    """The call of a free-form tool. Its input is told when it is complete: until then it is JSON in the making."""

    def __init__(self, log: EventLog, position: int, identity: str, name: str, space: Space = msgspec.UNSET) -> None:
        self._log = log
        self._item = {"item_id": f"ctc_{identity}", "output_index": position}
        self._call = CustomCall(f"ctc_{identity}", IN_PROGRESS, f"call_{identity}", name, "", space)
        self._arguments: list[str] = []
        log.append_event(ItemEvent, "response.output_item.added", output_index=position, item=self._call)

    def add_text(self, text: str) -> None:
        self._arguments.append(text)

    def close_item(self, status: str) -> OutputItem:
        """Ends as a message does."""
        told = input_of("".join(self._arguments))
        item = msgspec.structs.replace(self._call, status=status, input=told)
        kind = "response.custom_tool_call_input"
        self._log.append_event(ArgumentsDelta, f"{kind}.delta", **self._item, delta=told)
        self._log.append_event(InputDone, f"{kind}.done", **self._item, input=told)
        self._log.append_event(
            ItemEvent, "response.output_item.done", output_index=self._item["output_index"], item=item
        )
        return item


OpenItem = OpenMessage | OpenThought | OpenCall | OpenCustomCall
