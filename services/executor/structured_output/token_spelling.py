"""The bytes of each token: byte-level BPE, sentencepiece with byte fallback, and plain text."""

from functools import reduce

from xylem.shared.model_info.token_bytes import byte_alphabet, byte_of, decoder_parts
from xylem.shared.model_info.tokenizer_codec import TextCodec


def bytes_of_tokens(codec: TextCodec) -> list[bytes]:
    """Returns the bytes by token id. Special tokens have none, so that no grammar can be written with them."""
    tokenizer = codec.tokenizer
    added = tokenizer.get_added_tokens_decoder()
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    parts = decoder_parts(codec)
    is_byte_level = any(part["type"] == "ByteLevel" for part in parts)
    has_fallback = any(part["type"] == "ByteFallback" for part in parts)
    blanks = [
        (p["pattern"]["String"], p["content"]) for p in parts if p["type"] == "Replace" and "String" in p["pattern"]
    ]
    blanks += [(part["replacement"], " ") for part in parts if part["type"] == "Metaspace"]
    alphabet = byte_alphabet()
    out = [b""] * (max(vocabulary.values(), default=-1) + 1)
    for token, token_id in vocabulary.items():
        if token_id in added:
            out[token_id] = b"" if added[token_id].special else token.encode()
        elif is_byte_level:
            known = all(char in alphabet for char in token)
            out[token_id] = bytes(alphabet[char] for char in token) if known else token.encode()
        elif has_fallback and (byte := byte_of(token)) is not None:
            out[token_id] = bytes((byte,))
        else:
            out[token_id] = reduce(lambda text, blank: text.replace(*blank), blanks, token).encode()
    return out
