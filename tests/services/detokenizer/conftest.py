from pathlib import Path

import pytest

from shared.text_codec import TextCodec
from tests import tokenizer_kinds as kinds


@pytest.fixture(scope="session")
def codec() -> TextCodec:
    return TextCodec(folder=Path(), tokenizer=kinds.byte_level(), special_tokens={}, config={})
