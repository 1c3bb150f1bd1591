"""The native library is compiled once, and says why where it can't be."""

import shutil
from pathlib import Path

import pytest

from xylem.kernels.failures import BackendUnavailable
from xylem.kernels.native import library as native

needs_a_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="this machine has no C compiler")
needs_the_processor = pytest.mark.skipif(
    not native.FEATURES.keys() <= native._features(), reason="this machine can't run the native kernels"
)


def test_without_a_compiler_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackendUnavailable, match="no C compiler"):
        native.build(tmp_path / "native.so")


@needs_a_compiler
def test_what_the_compiler_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wrong.c").write_text("int x = nothing;")
    monkeypatch.setattr(native, "SOURCES", tmp_path)
    with pytest.raises(BackendUnavailable, match="nothing"):
        native.build(tmp_path / "native.so")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wrong.c"]


def test_another_processor_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_features", lambda: native.FEATURES.keys() - {"amx_bf16"})
    with pytest.raises(BackendUnavailable, match="no amx_bf16"):
        native.library.__wrapped__()


@needs_a_compiler
def test_the_sources_give_no_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "FLAGS", (*native.FLAGS, "-Werror"))
    native.build(tmp_path / "native.so")


@needs_a_compiler
@needs_the_processor
def test_what_an_image_carries_is_taken_and_what_other_sources_gave_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(native, "prebuilt", lambda: tmp_path / "none.so")
    native.library.__wrapped__()
    (kept,) = (tmp_path / "xylem").glob("*.so")
    monkeypatch.setattr(native, "prebuilt", lambda: kept)
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    native.library.__wrapped__()
    monkeypatch.setattr(native, "FLAGS", (*native.FLAGS, "-DOTHER"))
    assert native._name() != kept.name
