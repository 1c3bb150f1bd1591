"""The chat templates of a model folder, as text."""

from pathlib import Path
from typing import Any

from xylem.shared.model_info.model_error import ModelError
from xylem.shared.model_info.model_files import read_text


def template_sources(folder: Path, tokenizer_config: dict[str, Any]) -> dict[str, str]:
    """Templates by name: chat_template.jinja and additional_chat_templates/, or what tokenizer_config.json has.

    'default' and 'tool_use' mean something. Raises ModelError.
    """
    return _files(folder) or _configured(tokenizer_config.get("chat_template"))


def _files(folder: Path) -> dict[str, str]:
    named = {path.stem: path for path in sorted((folder / "additional_chat_templates").glob("*.jinja"))}
    default = folder / "chat_template.jinja"
    if default.exists():
        named["default"] = default
    try:
        return {name: read_text(path) for name, path in named.items()}
    except FileNotFoundError as error:
        raise ModelError(f"a chat template in {folder} can't be read: {error}") from None


def _configured(value: Any) -> dict[str, str]:
    match value:
        case None:
            return {}
        case str():
            return {"default": value}
        case list() if all(isinstance(t, dict) and {"name", "template"} <= t.keys() for t in value):
            return {str(t["name"]): str(t["template"]) for t in value}
        case dict():
            return {str(name): str(source) for name, source in value.items()}
        case _:
            raise ModelError("chat_template in tokenizer_config.json is neither a template nor a list of named ones")
