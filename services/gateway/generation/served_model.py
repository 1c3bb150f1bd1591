"""The model that is served, and checks of what a request asks of it."""

from dataclasses import dataclass, field

from xylem.services.gateway.fields.field_types import Prompt
from xylem.services.gateway.output_parsers import Family
from xylem.shared.protocol.columns import count, unpack
from xylem.shared.runtime.errors import ContextTooLong, InvalidRequest, NotFound


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The model's name and the limits of a request for it."""

    model: str
    context_length: int
    vocab_size: int
    max_choices: int  # of one request
    sampling: dict[str, float] = field(default_factory=dict)  # the model's own defaults, by field
    family: Family = field(default_factory=Family)  # how it writes thoughts and calls


class ModelNotFound(NotFound):
    code = "model_not_found"


def check_model(model: str | None, served: ServedModel) -> None:
    """Raises NotFound unless `model` is the one that is served. No model means that one."""
    if model is not None and model != served.model:
        raise ModelNotFound(f"the model {model[:200]!r} does not exist here; there is {served.model!r}", param="model")


def check_vocabulary(name: str, token_ids: bytes, served: ServedModel) -> None:
    """Raises InvalidRequest that names the field and its first token id that the model does not have."""
    given = unpack(token_ids)
    if given and max(given) >= served.vocab_size:
        outside = next(token_id for token_id in given if token_id >= served.vocab_size)
        raise InvalidRequest(
            f"{name}: token id {outside} is outside the model's vocabulary of {served.vocab_size}", param=name
        )


def check_number(number: int, what: str, param: str, served: ServedModel) -> None:
    """Raises InvalidRequest when `number` sequences are more than a gateway holds."""
    if number > served.max_choices:
        raise InvalidRequest(f"{number} {what}; this gateway holds {served.max_choices}", param=param)


def check_prompt_ids(name: str, prompt: Prompt, served: ServedModel) -> None:
    """Checks a prompt of token ids; what is wrong with a text is known only to the tokenizer.

    Raises ContextTooLong for too many, and InvalidRequest that names the field for one that the model does not have.
    """
    if not isinstance(prompt, bytes):
        return
    if count(prompt) > served.context_length:
        raise ContextTooLong(
            f"the prompt has {count(prompt)} tokens; the model's context holds {served.context_length}", param=name
        )
    check_vocabulary(name, prompt, served)
