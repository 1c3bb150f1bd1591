"""Text and token ids: a model folder's tokenizer, for the services that encode and those that decode.

The same tokenizer that transformers builds from the folder: tokenizer.json, with the tokens that
tokenizer_config.json, special_tokens_map.json and added_tokens.json add or redefine. No transformers is loaded.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from xylem.shared.model_info.model_error import ModelError
from xylem.shared.model_info.model_files import read_json, read_text

SPECIAL_TOKEN_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass(frozen=True, slots=True)
class TextCodec:
    """A tokenizer and what its configuration says.

    special_tokens: name such as bos_token to its text. config: tokenizer_config.json, empty when there is none.
    """

    folder: Path
    tokenizer: Tokenizer
    special_tokens: dict[str, str]
    config: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> "TextCodec":
        """Reads the tokenizer of a model folder. Raises ModelError when a file is missing or can't be used."""
        tokenizer = _read_tokenizer(folder / "tokenizer.json")
        config = _read_optional(folder / "tokenizer_config.json")
        if "added_tokens_decoder" not in config:
            # An older layout keeps the named tokens in a file of their own, which then has the last word.
            config = {**config, **_read_optional(folder / "special_tokens_map.json")}
        try:
            named = {name: _content(config[name]) for name in SPECIAL_TOKEN_NAMES if config.get(name)}
            _add_tokens(tokenizer, config, _read_optional(folder / "added_tokens.json"), list(named.values()))
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ModelError(f"{folder / 'tokenizer_config.json'}: a special token can't be used: {error}") from None
        return cls(folder=folder, tokenizer=tokenizer, special_tokens=named, config=config)

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Token ids of a text. May be called from several threads, which then run side by side."""
        # Unlike encode, the batch call lets other Python threads run meanwhile.
        return self.tokenizer.encode_batch_fast([text], add_special_tokens=add_special_tokens)[0].ids

    def decode(self, token_ids: list[int], *, skip_special_tokens: bool) -> str:
        """The text of token ids; ids outside the vocabulary have none."""
        return self.tokenizer.decode(token_ids, skip_special_tokens=skip_special_tokens)

    def longest_token_chars(self) -> int:
        """Length of the vocabulary's longest token: no token stands for more characters of ordinary text."""
        size = self.tokenizer.get_vocab_size(with_added_tokens=True)
        return max((len(self.tokenizer.id_to_token(i) or "") for i in range(size)), default=1)

    def special_texts(self) -> frozenset[str]:
        """The tokens that are not rendered as text."""
        return frozenset(t.content for t in self.tokenizer.get_added_tokens_decoder().values() if t.special)


def _read_tokenizer(path: Path) -> Tokenizer:
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise ModelError(f"{path} is missing; only models with a fast tokenizer can be served") from None
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the library raises nothing more precise
        raise ModelError(f"{path} holds no usable tokenizer: {error}") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _read_optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}


def _content(token: Any) -> str:
    return str(token["content"] if isinstance(token, dict) else token)


def _add_tokens(tokenizer: Tokenizer, config: dict[str, Any], legacy: dict[str, Any], named: list[str]) -> None:
    """Adds what the configuration has beyond tokenizer.json, in the order in which transformers numbers it."""
    present = tokenizer.get_added_tokens_decoder()
    known = {token.content for token in present.values()}
    extra = [_content(token) for token in _extra_special_tokens(config)]
    redefined: dict[int, AddedToken] = {
        int(token_id): _added_token(spec) for token_id, spec in config.get("added_tokens_decoder", {}).items()
    }
    if "added_tokens_decoder" not in config:
        for content, token_id in legacy.items():
            if content not in known:
                special = content in named or content in extra
                redefined[int(token_id)] = AddedToken(content, normalized=not special, special=special)
    wanted = [token for _, token in sorted(redefined.items(), key=lambda item: item[0])]
    known |= {token.content for token in wanted}
    for content in (*named, *extra):
        if content not in known:
            known.add(content)
            wanted.append(AddedToken(content, special=True))
    for token in wanted:
        token.special = token.special or token.content in named
    if wanted:
        tokenizer.add_tokens(wanted)


def _extra_special_tokens(config: dict[str, Any]) -> list[Any]:
    tokens = config.get("extra_special_tokens") or config.get("additional_special_tokens") or []
    return list(tokens.values()) if isinstance(tokens, dict) else list(tokens)


def _added_token(spec: Any) -> AddedToken:
    flags = {name: bool(spec[name]) for name in ("lstrip", "rstrip", "single_word", "normalized") if name in spec}
    return AddedToken(spec["content"], special=bool(spec.get("special", False)), **flags)
