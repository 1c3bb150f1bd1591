"""What the scripted model answers: a pure function of the prompt, so that every agent gets a whole task loop.

An agent that offers a tool for shell commands is asked to run one; when its result is there, the task is done.
"""

import json
import re

FILE = "made_by_agent.txt"
COMMAND = f"echo hello from the agent > {FILE}"
FINISHED = "The file is written. All is done."
EDIT = f"{FILE}\n```\nhello from the agent\n```\n"

# The shell tool of each agent, and what it is called with.
SHELLS: dict[str, dict[str, object]] = {
    "exec_command": {"cmd": COMMAND},  # Codex
    "Bash": {"command": COMMAND, "description": "Writes the file"},  # Claude Code
    "run_shell_command": {"command": COMMAND, "description": "Writes the file", "is_background": False},  # qwen-code
    "bash": {"command": COMMAND, "description": "Writes the file"},  # opencode, pi
}

TURN = "<|im_start|>"


def answer(prompt: str) -> str:
    """Returns the answer to a prompt in the demonstration model's form, up to the end of the assistant's turn."""
    turns = prompt.split(TURN)
    last = next((turn for turn in reversed(turns[:-1]) if not turn.startswith("assistant")), "")
    if last.startswith("tool") or "<tool_response>" in last:
        return FINISHED
    name = next((name for name in SHELLS if re.search(rf'"name": ?"{name}"', prompt)), None)
    if name is not None:
        call = json.dumps({"name": name, "arguments": SHELLS[name]})
        return f"I write the file.\n<tool_call>\n{call}\n</tool_call>"
    return EDIT if "```" in prompt else "Writing a file"
