"""Encodes prompts and chat messages to checked token ids. Pure; may run in several threads at once."""

from typing import Any

import msgspec

from xylem.services.tokenizer.chat_template import ChatTemplate
from xylem.services.tokenizer.plain_user_text import PlainUserText
from xylem.services.tokenizer.template_messages import parse_json, parse_messages
from xylem.shared.model_info.model_card import ModelCard
from xylem.shared.model_info.tokenizer_codec import TextCodec
from xylem.shared.protocol import Detokenize, Generate, Grammar, StopConditions, Tokenize, Tokenized
from xylem.shared.protocol.columns import pack, unpack
from xylem.shared.runtime.errors import ContextTooLong, InvalidRequest

Chat = tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Any]]  # messages, tools, variables of the template


class PromptEncoder:
    """The tokenizer, chat template and limits of one model. All methods raise InvalidRequest or a subclass."""

    def __init__(
        self,
        codec: TextCodec,
        template: ChatTemplate,
        *,
        context_length: int,
        vocab_size: int,
        strict_max_tokens: bool = False,
        plain_user_text: bool = False,
    ) -> None:
        """strict_max_tokens: a max_tokens beyond the rest of the context is refused, not taken for the rest.

        plain_user_text: tokens that users spell out in messages stay text.
        """
        added = (token.content for token in codec.tokenizer.get_added_tokens_decoder().values())
        self._user_text = PlainUserText(added if plain_user_text else ())
        self._codec = codec
        self._template = template
        self._context_length = context_length
        self._vocab_size = vocab_size
        self._strict_max_tokens = strict_max_tokens
        # A longer text can't fit: no token stands for more characters than the longest has.
        self._max_chars = context_length * codec.longest_token_chars()

    @classmethod
    def load(
        cls, card: ModelCard, *, strict_max_tokens: bool = False, plain_user_text: bool = False
    ) -> "PromptEncoder":
        """Loads the tokenizer and the chat template of a model's folder. Raises ModelError."""
        codec = TextCodec.load(card.path)
        template = ChatTemplate.load(codec)
        return cls(
            codec,
            template,
            context_length=card.context_length,
            vocab_size=card.vocab_size,
            strict_max_tokens=strict_max_tokens,
            plain_user_text=plain_user_text,
        )

    def encode_request(self, generate: Generate, trace: str) -> Tokenized:
        """Returns the request with its token ids, and with what only the prompt's text and length tell."""
        param = "prompt" if generate.messages is None else "messages"
        prefix = ""
        if generate.token_ids is not None:
            prompt_ids = list(unpack(generate.token_ids))
            self._check_ids(prompt_ids, "prompt")
        elif generate.messages is not None:
            prompt, prefix = self._render_chat(generate, generate.messages)
            prompt_ids = self._encode(prompt, param, add_special_tokens=False)
        else:
            prompt_ids = self._encode(generate.prompt or "", param, add_special_tokens=generate.add_special_tokens)
        if not prompt_ids:
            raise InvalidRequest("the prompt is empty", param=param)
        return Tokenized(
            request_id=generate.request_id,
            attempt=generate.attempt,
            gateway=generate.gateway,
            detokenizer=generate.detokenizer,
            prompt_ids=pack(prompt_ids),
            output_ids=generate.output_ids,
            params=msgspec.structs.replace(
                generate.params,
                stop_conditions=self._stop_conditions(generate.params.stop_conditions, len(prompt_ids), param),
                grammar=self._with_thinking_ids(generate.params.grammar, prefix),
                answer_prefix=prefix,
            ),
            trace=trace,
            suspected=generate.suspected,
        )

    def encode_question(self, question: Tokenize) -> list[int]:
        """Returns the token ids of a text or of chat messages, of any length."""
        if question.messages is not None:
            prompt = self._template.render_messages(*self._parse_chat(question, question.messages))
            return self._encode(prompt, "messages", add_special_tokens=False, bounded=False)
        add_special_tokens = question.add_special_tokens
        return self._encode(question.prompt or "", "prompt", add_special_tokens=add_special_tokens, bounded=False)

    def decode_question(self, question: Detokenize) -> str:
        """Returns the text of token ids, special tokens included."""
        token_ids = list(unpack(question.token_ids))
        self._check_ids(token_ids, "tokens")
        return self._codec.decode(token_ids, skip_special_tokens=False)

    def _encode(self, text: str, param: str, *, add_special_tokens: bool, bounded: bool = True) -> list[int]:
        if bounded and len(text) > self._max_chars:
            raise ContextTooLong(
                f"the prompt has {len(text)} characters, which is more than the model's context of"
                f" {self._context_length} tokens can hold",
                param=param,
            )
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidRequest(
                f"the text has half of a surrogate pair at character {error.start}", param=param
            ) from None
        first, *others = self._user_text.split_prompt(text)
        ids = self._codec.encode(first, add_special_tokens=add_special_tokens)
        for part in others:
            ids += self._codec.encode(part, add_special_tokens=False)
        self._check_ids(ids, param)
        return ids

    def _parse_chat(self, source: Generate | Tokenize, messages: bytes) -> Chat:
        tools = parse_json(source.tools, "tools", list) if source.tools else []
        given = source.template_arguments
        arguments = parse_json(given, "chat_template_kwargs", dict) if given else {}
        return self._user_text.mark_messages(parse_messages(messages)), tools, arguments

    def _render_chat(self, generate: Generate, messages: bytes) -> tuple[str, str]:
        """The prompt, and the beginning of the answer that it ends with, if the gateway wants to know it."""
        chat = self._parse_chat(generate, messages)
        prompt, markers = self._template.render_messages(*chat), generate.answer_markers
        prefix = self._template.answer_prefix(prompt, markers, *chat) if markers else ""
        grammar = generate.params.grammar
        if grammar and _is_open(grammar, prefix) and self._token_id(grammar.after) < 0:
            # Where the thoughts end can't be seen in the tokens, so that the grammar could not begin there.
            return prompt + grammar.after, prefix + grammar.after
        return prompt, prefix

    def _with_thinking_ids(self, grammar: Grammar | None, prefix: str) -> Grammar | None:
        """Fills in the ids of the tokens that begin and end thinking, as far as the prompt leaves them open."""
        if grammar is None or not grammar.after:
            return grammar
        after_id, opens_id = (self._token_id(text) for text in (grammar.after, grammar.opens))
        if _is_open(grammar, prefix):
            opens_id = -1  # thinking has begun
        elif prefix or after_id < 0:
            after_id = opens_id = -1  # thinking is over, or the model has no such token
        return msgspec.structs.replace(grammar, after_id=after_id, opens_id=opens_id)

    def _token_id(self, text: str) -> int:
        token_id = self._codec.tokenizer.token_to_id(text) if text else None
        return -1 if token_id is None else token_id

    def _check_ids(self, token_ids: list[int], param: str) -> None:
        if token_ids and not 0 <= min(token_ids) <= max(token_ids) < self._vocab_size:
            wrong = next(token_id for token_id in token_ids if not 0 <= token_id < self._vocab_size)
            raise InvalidRequest(
                f"{param}: token id {wrong} is outside the model's vocabulary of {self._vocab_size}", param=param
            )

    def _stop_conditions(self, wanted: StopConditions, num_prompt_tokens: int, param: str) -> StopConditions:
        """Replaces max_tokens of -1, or beyond the rest of the context, by that rest.

        Raises ContextTooLong for a prompt that leaves none, and with strict_max_tokens for more than there is.
        """
        room = self._context_length - num_prompt_tokens
        if room < 1:
            raise ContextTooLong(
                f"the prompt has {num_prompt_tokens} tokens, but the model's context is {self._context_length} tokens,"
                " the answer included",
                param=param,
            )
        if 0 <= wanted.max_tokens <= room:
            return wanted
        if wanted.max_tokens > room and self._strict_max_tokens:
            raise ContextTooLong(
                f"the prompt has {num_prompt_tokens} tokens and max_tokens is {wanted.max_tokens}, together more than"
                f" the model's context of {self._context_length} tokens",
                param="max_tokens",
            )
        # The client can't know the prompt's length: its limit is what it can bear, not what it needs.
        return msgspec.structs.replace(wanted, max_tokens=room, min_tokens=min(wanted.min_tokens, room))


def _is_open(grammar: Grammar, prefix: str) -> bool:
    """Whether an answer that begins so begins within thoughts."""
    return bool(grammar.opens) and prefix.rfind(grammar.opens) > prefix.rfind(grammar.after)
