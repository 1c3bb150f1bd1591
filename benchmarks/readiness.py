"""Readiness of the systems under measurement."""

import subprocess
import time
import urllib.error
import urllib.request


def wait_until_ready(child: "subprocess.Popen[str]", port: int, *, timeout_s: float, path: str = "/ready") -> None:
    """Returns when a GET of `path` succeeds. Raises TimeoutError, also when the process has ended."""
    deadline_s = time.monotonic() + timeout_s
    while child.poll() is None and time.monotonic() < deadline_s:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    why = f"not after {timeout_s:g} s" if child.poll() is None else f"the process ended with {child.returncode}"
    raise TimeoutError(f"nothing is ready on port {port}: {why}")
