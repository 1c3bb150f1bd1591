"""The scripted server as a process: `xylem serve` with the demonstration model's tokenizer and a long context."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.clients.agents.table import MODEL
from tests.serving import serving
from xylem.shared.model_info.model_card import DEMONSTRATION, locate

CONTEXT_LENGTH = 262_144  # agents' prompts are 13,000 to 40,000 tokens of this vocabulary


@contextmanager
def scripted_server(folder: Path) -> Iterator[str]:
    """Yields its URL."""
    model = folder / "model"
    shutil.copytree(locate(DEMONSTRATION), model, copy_function=shutil.copyfile)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"max_position_embeddings": CONTEXT_LENGTH}))
    flags = ("--model", str(model), "--served-name", MODEL, "--token-budget", "8192")
    with serving(folder, *flags, program="tests.clients.agents.serve_scripted") as served:
        yield served.url
