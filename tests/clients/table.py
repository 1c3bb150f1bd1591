"""The clients: what is installed for each, and which files of checks are run in its environment."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Client:
    """`packages` are requirements for pip, or for npm; the version shown is that of `distribution`."""

    name: str
    language: str  # python, node, or shell: then this Python itself runs the file, and nothing is installed
    packages: tuple[str, ...]
    distribution: str
    files: tuple[str, ...]


OPENAI_FILES = (
    "openai_chat",
    "openai_structured",
    "openai_tools",
    "openai_completions",
    "openai_responses",
    "openai_errors",
)

CLIENTS: tuple[Client, ...] = (
    Client("openai-python", "python", ("openai>=3,<4",), "openai", OPENAI_FILES),
    Client("openai-python-2", "python", ("openai>=2,<3",), "openai", OPENAI_FILES),
    Client("openai-node", "node", ("openai",), "openai", ("openai_node.mjs",)),
    Client("anthropic-python", "python", ("anthropic",), "anthropic", ("anthropic_messages",)),
    Client("langchain", "python", ("langchain-openai",), "langchain-openai", ("langchain_openai_checks",)),
    # Its tools and responses import mcp, which it does not ask for itself.
    Client("litellm", "python", ("litellm", "mcp"), "litellm", ("litellm_checks",)),
    Client("instructor", "python", ("instructor",), "instructor", ("instructor_checks",)),
    Client("curl", "shell", (), "curl", ("curl_readme",)),
)
