"""`python -m xylem.services.tokenizer`."""

from xylem.services.tokenizer.service import TokenizerService
from xylem.shared.runtime.service import run

run(TokenizerService)
