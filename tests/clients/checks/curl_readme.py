"""The README's own curl command, as it stands there, and the same with a stream, a mistake and a wrong key.

Needs no package. A server with keys gets one, by a header that is put behind `curl`.
"""

import json
import re
import subprocess
from pathlib import Path

import checking
from checking import KEY, URL, check, check_with_key, equal, holds
from known import PARIS

README = Path(__file__).resolve().parents[3] / "README.md"
COMMAND = next(
    block for block in re.findall(r"```bash run\n(.*?)```", README.read_text(), re.DOTALL) if "curl" in block
)


def curl(command: str = COMMAND, key: str = KEY) -> str:
    """What a shell prints for the command. Raises CalledProcessError."""
    command = command.replace("http://127.0.0.1:8000", URL)
    if key:
        command = command.replace("curl ", f"curl -H 'authorization: Bearer {key}' ", 1)
    return subprocess.run(["bash", "-euc", command], capture_output=True, text=True, check=True, timeout=60).stdout


@check
def the_readmes_command_answers() -> None:
    equal(json.loads(curl())["choices"][0]["message"]["content"], PARIS)


@check
def it_streams() -> None:
    printed = curl(
        COMMAND.replace('"temperature": 0', '"temperature": 0, "stream": true').replace("curl -s", "curl -sN")
    )
    *events, done = [event for event in printed.split("\n\n") if event]
    equal(done, "data: [DONE]")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    equal(text, PARIS)


@check
def a_mistake_is_named() -> None:
    command = COMMAND.replace('"temperature": 0', '"temperature": 9').replace("curl -s", "curl -s -w '\\n%{http_code}'")
    body, status = curl(command).rsplit("\n", 1)
    equal((status, json.loads(body)["error"]["param"]), ("400", "temperature"))


@check
def what_is_no_json_is_refused() -> None:
    answer = json.loads(curl(f"curl -s {URL}/v1/completions -d 'prompt=Hi'"))
    holds("JSON" in answer["error"]["message"], answer)


@check_with_key
def a_wrong_key_is_refused() -> None:
    equal(json.loads(curl(key=KEY + "x"))["error"]["code"], "invalid_api_key")


if __name__ == "__main__":
    version = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    checking.run("curl", version)
