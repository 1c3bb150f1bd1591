"""Secrets onto disk: all of them at once, and never over others that are in use."""

import os
from pathlib import Path

from xylem.shared.runtime.provision.holders import HOLDERS, OPERATOR, all_files

COMPLETE = "complete"  # written last, among the operator's


class ProvisionError(Exception):
    """The secrets can't be made; the message says why."""


def provision(root: Path, nats_host: str, *, anew: bool = False) -> bool:
    """Fills the folder of each holder below root. False when that has been done before, and nothing was changed.

    What an interrupted run has left is made anew: nothing is started before a run was complete. Raises ProvisionError.
    """
    if (root / OPERATOR / COMPLETE).exists() and not anew:
        if missing := [name for name in HOLDERS if not (root / name).is_dir() or not any((root / name).iterdir())]:
            raise ProvisionError(f"secrets are missing for {', '.join(missing)}; make all anew with --anew")
        return False
    (root / OPERATOR / COMPLETE).unlink(missing_ok=True)
    try:
        for holder, files in all_files(nats_host).items():
            (root / holder).mkdir(mode=0o700, parents=True, exist_ok=True)
            for name, text in files.items():
                _write(root / holder / name, text)
        _write(root / OPERATOR / COMPLETE, "")
    except OSError as error:
        raise ProvisionError(f"{error.filename} can't be written: {error.strerror}") from None
    return True


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)  # whoever has it open keeps what it was
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
