"""Incremental decoders: they take token ids one at a time and return the text that became certain.

A decoder is exact for every way to split the ids: its texts together equal `decode` of all ids at once, less the text
of the preceding prompt tokens. It takes constant time per token. There is one file per kind of decoder in
tokenizer.json, and `windowed` for every other kind.
"""

from xylem.services.detokenizer.decoders.registry import DecoderFactory, TextDecoder, decoder_factory, spelling

__all__ = ["DecoderFactory", "TextDecoder", "decoder_factory", "spelling"]
