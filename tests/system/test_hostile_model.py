"""A model folder full of code: none of it runs, whatever reads the folder."""

import json
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.serving import ROOT
from xylem.services.tokenizer.chat_template import ChatTemplate
from xylem.services.tokenizer.prompt_encoder import PromptEncoder
from xylem.shared.model_info.model_card import CONFIGURATION, WEIGHTS, ModelCard, ModelError
from xylem.shared.model_info.tokenizer_codec import TextCodec
from xylem.shared.runtime.errors import InvalidRequest

MESSAGES = [{"role": "user", "content": "hello"}]
PICKLE = b"cos\nsystem\n(S'touch %b'\ntR."  # what loads it as a pickle runs the command
AUTO_MAP = {
    "AutoConfig": "configuration_evil.EvilConfig",
    "AutoModelForCausalLM": "modeling_evil.EvilModel",
    "AutoTokenizer": ["tokenization_evil.EvilTokenizer", "tokenization_evil.EvilTokenizer"],
}
FILES = ("configuration_evil.py", "modeling_evil.py", "tokenization_evil.py", "conftest.py", "sitecustomize.py")
ESCAPES = (
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.system('touch MARK') }}",
    "{{ raise_exception.__globals__ }}",
    "{{ strftime_now.__globals__['json'] }}",
    "{{ self._TemplateReference__context.environment }}",
    "{{ messages.append(1) }}",
    "{{ ('%s' | attr('format'))('x') }}{{ lipsum.__globals__['os'].popen('touch MARK').read() }}",
    "{{ (messages[0] | attr('__class__')).__base__.__subclasses__() }}",
    "{{ '{0.__class__.__base__}'.format(messages) }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% for i in range(10**9) %}{% endfor %}",
)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """It appears when something of the folder has been run."""
    return tmp_path / "it-ran"


@pytest.fixture
def folder(tmp_path: Path, mark: Path, demo_model: Path) -> Path:
    """The demonstration model with code in every place where a loader might look for some."""
    copy = tmp_path / "evil"
    shutil.copytree(demo_model, copy)
    for name in FILES:
        (copy / name).write_text(f"open({str(mark)!r}, 'w').close()\nclass EvilConfig: ...\n")
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "tokenizer.pkl"):
        (copy / name).write_bytes(PICKLE % str(mark).encode())
    for name in ("config.json", "tokenizer_config.json", "generation_config.json"):
        path = copy / name
        content = json.loads(path.read_text()) if path.exists() else {}
        more = {"auto_map": AUTO_MAP, "trust_remote_code": True, "tokenizer_class": "EvilTokenizer"}
        path.write_text(json.dumps({**content, **more}))
    return copy


def read_by_the_executor(folder: Path) -> "subprocess.CompletedProcess[str]":
    """Its own way of loading, in a process that stands in the folder."""
    program = (
        "from pathlib import Path; import torch; from xylem.services.executor.weights.loader import load_weights;"
        "from xylem.services.executor.model_config.architectures import decoder_config;"
        "from xylem.shared.model_info.model_card import ModelCard;"
        "path = Path.cwd(); config = decoder_config(ModelCard.load(path));"
        "print(len(load_weights(path, config, dtype=torch.float32, device=torch.device('cpu'))))"
    )
    return subprocess.run(
        [sys.executable, "-P", "-c", program], cwd=folder, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}
    )


def test_code_beside_the_model_is_let_be(folder: Path, mark: Path) -> None:
    encoder = PromptEncoder.load(ModelCard.load(folder))
    template = ChatTemplate.load(TextCodec.load(folder))
    assert "hello" in template.render_messages(MESSAGES, [], {})
    assert encoder is not None
    loaded = read_by_the_executor(folder)
    assert loaded.returncode == 0, loaded.stderr
    assert int(loaded.stdout) > 0
    assert not mark.exists()


def test_pickles_are_not_weights(folder: Path, mark: Path) -> None:
    (folder / "model.safetensors").unlink()
    refused = read_by_the_executor(folder)
    assert "only safetensors are read" in refused.stderr
    (folder / "pytorch_model.bin").rename(folder / "model.safetensors")
    assert "can't be read" in read_by_the_executor(folder).stderr
    assert not mark.exists()


@pytest.mark.parametrize("source", ESCAPES)
def test_a_chat_template_stays_in_its_sandbox(source: str, mark: Path, tmp_path: Path) -> None:
    source = source.replace("MARK", str(mark))
    try:
        text = ChatTemplate({"default": source}, {}).render_messages(MESSAGES, [], {})
    except (InvalidRequest, ModelError):
        text = ""
    assert not mark.exists()
    assert not any(word in text for word in ("<class", "<function", "<module", "root:", "Environment"))


def test_a_download_leaves_code_and_pickles_behind() -> None:
    wanted = [*CONFIGURATION, *WEIGHTS]
    for name in (*FILES, "pytorch_model.bin", "pytorch_model-00001-of-2.bin", "model.pt", "a.pkl", "a.pth", "run.sh"):
        assert not any(fnmatch(name, pattern) for pattern in wanted), name
