from pathlib import Path

import pytest

from tests import tokenizer_kinds as kinds
from xylem.shared.model_info.tokenizer_codec import TextCodec


@pytest.fixture(scope="session")
def codec() -> TextCodec:
    return TextCodec(folder=Path(), tokenizer=kinds.byte_level(), special_tokens={}, config={})
