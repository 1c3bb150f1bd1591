"""A very small Llama that was trained here, so that a fresh checkout can serve something without a download.

It is a demonstration and a fixture for tests, not a useful model: it knows the kinds of prompt listed in
`tools/demo_model/kinds` and little else. `python -m tools.demo_model.train` makes it again from nothing.
"""

from xylem import PACKAGE_PATH

MODEL_PATH = PACKAGE_PATH / "demo_model" / "model"

__all__ = ["MODEL_PATH"]
