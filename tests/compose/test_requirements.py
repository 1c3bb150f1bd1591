import importlib.util
import subprocess
import sys
from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def test_requirements_are_those_of_the_project(tmp_path: Path) -> None:
    project = tmp_path / "pyproject.toml"
    project.write_text(
        '[project]\nname = "it"\ndependencies = ["a>=1", "b"]\n'
        '[project.optional-dependencies]\nmore = ["c==2"]\nmost = ["it[more]", "d"]\n'
    )
    command = [sys.executable, str(DEPLOY / "requirements.py"), str(project)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "a>=1\nb\n"
    assert subprocess.run([*command, "more"], capture_output=True, text=True, check=True).stdout == "a>=1\nb\nc==2\n"
    assert subprocess.run([*command, "most"], capture_output=True, text=True, check=True).stdout == "a>=1\nb\nc==2\nd\n"


def test_the_light_list_has_no_torch() -> None:
    specification = importlib.util.spec_from_file_location("requirements", DEPLOY / "requirements.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    light = module.requirements(DEPLOY.parent / "pyproject.toml", "services")
    assert light
    assert not [line for line in light if line.startswith(("torch", "triton", "numpy", "transformers"))]


def test_the_entrypoint_says_what_it_wants() -> None:
    ended = subprocess.run(["/bin/sh", str(DEPLOY / "entrypoint.sh")], capture_output=True, text=True)
    assert ended.returncode != 0
    assert "which service?" in ended.stderr
