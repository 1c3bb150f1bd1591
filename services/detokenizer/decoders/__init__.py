"""Incremental decoders: token ids in, one at a time; the text that became certain out.

Exact for every way to split the ids: all that comes out is what `decode` gives for all of them at once, the text of
the preceding prompt tokens taken off. Constant time per token. One file per kind of decoder in tokenizer.json, and
`windowed` for every other.
"""

from xylem.services.detokenizer.decoders.choice import DecoderFactory, TextDecoder, decoder_factory, spelling

__all__ = ["DecoderFactory", "TextDecoder", "decoder_factory", "spelling"]
