"""A server that asks for a key, so that what clients do with a wrong one can be seen."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.serving import serving


@contextmanager
def keyed_server(folder: Path) -> Iterator[tuple[str, str]]:
    """Its URL, and the key."""
    api_key = secrets.token_hex(24)
    keys = folder / "keys.toml"
    keys.write_text(f'[client]\nkey = "{api_key}"\n')
    with serving(folder, "--api-keys-file", str(keys)) as served:
        yield served.url, api_key
