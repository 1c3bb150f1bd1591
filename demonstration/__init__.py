"""A very small Llama that was trained here, so that a fresh checkout can serve something without a download.

It is a demonstration and a fixture for tests, not a useful model: it knows the kinds of prompt listed in
`demonstration/kinds` and little else. `python -m demonstration.train` makes it again from nothing.
"""

from pathlib import Path

MODEL_PATH: Path = Path(__file__).resolve().parent / "model"

__all__ = ["MODEL_PATH"]
