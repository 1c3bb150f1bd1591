"""`xylem serve` with a certificate and keys: its own words work as they stand, and keys are nowhere to be read."""

import json
import os
import ssl
import subprocess
import sys
from pathlib import Path

import httpx

from tests import certificates
from tests.patience import PATIENCE_S
from tests.serving import ROOT, serving

KEY = "sk-alice-0123456789"


def test_https_with_keys(tmp_path: Path) -> None:
    pair = certificates.make(tmp_path)
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[alice]\nkey = "{KEY}"\n')
    flags = ("--tls-cert-file", str(pair.certificate), "--tls-key-file", str(pair.key), "--api-keys-file", str(keys))
    with serving(tmp_path, *flags) as served:
        url = served.state["url"]
        assert url.startswith("https://")
        trust = ssl.create_default_context(cafile=str(pair.certificate))
        assert httpx.get(f"{url}/ready", verify=trust, timeout=PATIENCE_S).status_code == 200
        assert httpx.get(f"{url}/v1/models", verify=trust, timeout=PATIENCE_S).status_code == 401

        client = {**os.environ, "XYLEM_API_KEY": KEY}
        curl = next(line for line in served.output if line.startswith("curl"))
        answer = subprocess.run(["/bin/sh", "-c", curl], env=client, capture_output=True, timeout=60, check=True)
        assert "Paris" in json.loads(answer.stdout)["choices"][0]["message"]["content"]

        chat = [sys.executable, "-m", "xylem", "chat", "--url", url, "--temperature", "0"]
        asked: list[tuple[tuple[str, ...], int, str]] = [
            (("--ca-file", str(pair.certificate)), 0, "Rome"),
            ((), 1, "see --ca-file"),
            (("--ca-file", str(pair.key)), 2, "can't be used"),
        ]
        for extra, code, said in asked:
            run = subprocess.run(
                [*chat, *extra],
                input="What is the capital of Italy?\n",
                capture_output=True,
                text=True,
                cwd=ROOT,
                env=client,
            )
            printed = "".join(character for character in run.stdout + run.stderr if character not in "│\n")
            assert (run.returncode, said in " ".join(printed.split())) == (code, True), run  # lines break anywhere
        assert not any(KEY in line for line in served.output)
        for pid in served.state["pids"].values():
            assert KEY.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
