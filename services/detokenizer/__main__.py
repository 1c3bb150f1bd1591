"""`python -m xylem.services.detokenizer`."""

from xylem.services.detokenizer.service import DetokenizerService
from xylem.shared.runtime.service import run

run(DetokenizerService)
