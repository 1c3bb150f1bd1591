"""Readiness of the systems under measurement."""

import time
import urllib.error
import urllib.request


def wait_until_ready(port: int, *, timeout_s: float, path: str = "/ready") -> None:
    """Returns when a GET of `path` succeeds. Raises TimeoutError."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise TimeoutError(f"nothing is ready on port {port} after {timeout_s:g} s")
