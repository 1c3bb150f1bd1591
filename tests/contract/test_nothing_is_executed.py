"""No data becomes code: nothing in the tree unpickles, evaluates, or loads what a model folder brings as Python.

Each rule passes on the tree and finds a planted violation.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("services", "shared", "kernels", "xylem", "tools", "benchmarks", "deploy", "compose")
FILES = sorted(file for folder in (*OURS, "tests") for file in (ROOT / folder).rglob("*.py"))

MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "runpy", "code"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
ATTRIBUTES = {
    ("torch", "load"),  # unpickles; weights are safetensors
    ("torch", "hub"),
    ("yaml", "load"),
    ("yaml", "load_all"),
    ("yaml", "unsafe_load"),
    ("yaml", "full_load"),
    ("os", "system"),
    ("os", "popen"),
    ("jinja2", "Environment"),  # without a sandbox
}
KEYWORDS = {"trust_remote_code", "allow_pickle", "shell"}  # with anything but False


def violations(source: str) -> Iterator[str]:
    """What in a Python source might run data as code, as `line: what`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found = [alias.name for alias in names if alias.name.split(".")[0] in MODULES]
            case ast.ImportFrom(module=str(module), names=names, level=0):
                imported = {(module, alias.name) for alias in names}
                found = [module] if module.split(".")[0] in MODULES else [n for m, n in imported & ATTRIBUTES]
            case ast.Name(id=name, ctx=ast.Load()) if name in BUILTINS:
                found = [name]
            case ast.Attribute(value=ast.Name(id=module), attr=name) if (module, name) in ATTRIBUTES:
                found = [f"{module}.{name}"]
            case ast.Call(func=ast.Attribute(value=ast.Name(id="jinja2"), attr="Template")):
                found = ["jinja2.Template, which has no sandbox"]
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[argument, *_]):
                found = [] if isinstance(argument, ast.Constant) else ["import_module of a variable"]
            case ast.keyword(arg=str(name), value=value) if name in KEYWORDS:
                found = [] if isinstance(value, ast.Constant) and value.value is False else [name]
            case _:
                continue
        for what in found:
            yield f"{node.lineno}: {what}"


def test_there_is_something_to_look_at() -> None:
    assert {file.relative_to(ROOT).parts[0] for file in FILES} >= {"services", "shared", "kernels", "xylem", "tests"}


@pytest.mark.parametrize("folder", [*OURS, "tests"])
def test_no_data_is_run(folder: str) -> None:
    found = {
        str(file.relative_to(ROOT)): list(violations(file.read_text(encoding="utf-8")))
        for file in FILES
        if file.is_relative_to(ROOT / folder)
    }
    assert {file: what for file, what in found.items() if what} == {}


@pytest.mark.parametrize(
    "planted",
    [
        "import pickle",
        "import torch, dill",
        "from marshal import loads",
        "from yaml import load",
        "x = eval(text)",
        "list(map(exec, lines))",
        "torch.load(path)",
        "torch.load(path, weights_only=True)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "yaml.unsafe_load(text)",
        "AutoModel.from_pretrained(path, trust_remote_code=True)",
        "AutoModel.from_pretrained(path, trust_remote_code=settings.trust)",
        "numpy.load(path, allow_pickle=True)",
        "subprocess.run(command, shell=True)",
        "os.system(command)",
        "importlib.import_module(config['auto_map'])",
        "jinja2.Environment().from_string(template)",
        "from jinja2 import Environment",
        "jinja2.Template(source).render()",
    ],
)
def test_a_planted_violation_is_found(planted: str) -> None:
    assert list(violations(f"def planted():\n    {planted}\n")), planted


@pytest.mark.parametrize(
    "harmless",
    ["model.eval()", "re.compile(x)", "yaml.safe_load(x)", "run(x, shell=False)", "import_module('json')", "'exec(x)'"],
)
def test_what_only_looks_like_it_is_let_be(harmless: str) -> None:
    assert list(violations(harmless)) == []
