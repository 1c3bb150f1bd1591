from services.detokenizer.service import DetokenizerService
from shared.service import run

run(DetokenizerService)
