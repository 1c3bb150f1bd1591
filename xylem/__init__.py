"""Xylem serves large language models as a pipeline of small services over NATS.

`xylem.cli` is what people type and `xylem.client` what they import; `xylem.services`, `xylem.shared` and
`xylem.kernels` are the system itself. In a checkout these three are links to the folders of the same names at its top.
"""

from pathlib import Path

PACKAGE_PATH: Path = Path(__file__).resolve().parent  # IMPORT_PATH / "xylem"
IMPORT_PATH: Path = PACKAGE_PATH.parent  # what child processes need on PYTHONPATH: site-packages, or a checkout

__all__ = ["IMPORT_PATH", "PACKAGE_PATH"]
