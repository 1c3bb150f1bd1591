from services.tokenizer.service import TokenizerService
from shared.service import run

run(TokenizerService)
