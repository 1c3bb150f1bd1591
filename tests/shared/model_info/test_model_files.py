"""What is no regular file, or no sensible JSON, is an error with the file's name."""

import os
import socket
from pathlib import Path

import pytest

from xylem.shared.model_info.chat_templates import template_sources
from xylem.shared.model_info.model_card import ModelCard
from xylem.shared.model_info.model_error import ModelError
from xylem.shared.model_info.model_files import MAX_FILE_BYTES, read_json, read_text
from xylem.shared.model_info.tokenizer_codec import TextCodec


def test_pipes_devices_sockets_and_folders_are_refused(tmp_path: Path) -> None:
    pipe, device, folder, listening = [tmp_path / name for name in ("pipe", "device", "folder", "socket")]
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(listening))
        for path in (pipe, device, folder, listening):
            with pytest.raises(ModelError, match=str(path)):
                read_json(path)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja"])
def test_no_file_of_a_folder_is_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    if name == "generation_config.json":
        (tmp_path / "config.json").write_text(
            '{"architectures": ["LlamaForCausalLM"], "vocab_size": 8, "max_position_embeddings": 8}'
        )
    with pytest.raises(ModelError, match="not a regular file"):
        if name == "tokenizer.json":
            TextCodec.load(tmp_path)
        elif name == "chat_template.jinja":
            template_sources(tmp_path, {})
        else:
            ModelCard.load(tmp_path)


def test_a_link_to_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "blob").write_text('\ufeff{"a": 1}')
    (tmp_path / "config.json").symlink_to(tmp_path / "blob")
    assert read_json(tmp_path / "config.json") == {"a": 1}


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.touch()
    os.truncate(path, MAX_FILE_BYTES + 1)
    with pytest.raises(ModelError, match="bytes"):
        read_text(path)


@pytest.mark.parametrize("text", ['{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "[1]", "{", '{"a": \ud800}'])
def test_what_is_no_object(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text, errors="surrogatepass")
    with pytest.raises(ModelError, match=r"config\.json"):
        read_json(tmp_path / "config.json")


def test_integers_that_would_overflow_are_no_sizes(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"model_max_length": 1000000000000000019884624838656, "a": 1' + "0" * 5000 + ', "b": -7}')
    assert read_json(path) == {"model_max_length": 1000000000000000019884624838656, "a": float("inf"), "b": -7}
