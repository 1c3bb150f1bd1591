"""A JSON file that says what runs, for scripts and tests that must find or kill a process."""

import contextlib
import json
import os
from pathlib import Path


class StateFile:
    """Rewritten whole at every change, so that a reader never sees half of it. Without a path it does nothing."""

    def __init__(self, path: Path | None, *, url: str, nats_url: str, model: str) -> None:
        self._path = path
        self._state = {"url": url, "nats_url": nats_url, "model": model, "pid": os.getpid(), "ready": False, "pids": {}}

    def update(self, *, pids: dict[str, int], ready: bool) -> None:
        """pids: process id by member name, such as tokenizer-0; those that don't run now are left out."""
        if self._path is None:
            return
        self._state |= {"pids": pids, "ready": ready}
        new = self._path.with_name(f".{self._path.name}.new")
        # Whoever reads it can speak on the bus as the admin.
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(json.dumps(self._state, indent=1) + "\n")
        new.replace(self._path)

    def remove(self) -> None:
        """Nothing runs any more."""
        if self._path is not None:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
