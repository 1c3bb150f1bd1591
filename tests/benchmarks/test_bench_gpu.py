"""The benchmark of a GPU runs whole on a CPU, at tiny shapes, so that its first run on a GPU is a measurement."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import bench_gpu
from benchmarks.gpu import folder, kernels
from benchmarks.gpu.engine import weight_bytes
from benchmarks.gpu.offline import mixed_lengths
from xylem.services.executor.model_config.architectures import decoder_config
from xylem.shared.model_info.model_card import ModelCard

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("ceilings", "kernels", "folder", "engine", "served", "peer")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Any:
    where = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder, "SHARD_BYTES", 100_000)  # several files, as of a large model
        arguments = ["--tiny", "--device", "cpu", "--folder", str(where), "--json", str(where / "found.json")]
        bench_gpu.main(arguments)
    assert len(list(where.glob("*/*.safetensors"))) > 2
    return json.loads((where / "found.json").read_text())


def test_every_part_runs(result: Any) -> None:
    assert [part for part in PARTS if "left_out" in result[part]] == []
    assert result["device"] == "cpu"
    assert min(result["ceilings"]["raw"].values()) > 0
    assert result["served"]["tokens_per_s"] / result["engine"]["fixed"]["tokens_per_s"] == pytest.approx(
        result["through_the_bus"], abs=1e-3
    )


def test_every_kernel_is_right(result: Any) -> None:
    rows = result["kernels"]
    assert {row["kernel"] for row in rows} == {
        "add_rms_norm", "silu_and_mul", "linear", "attention, decode", "attention, read", "sample_on_device",
    }  # fmt: skip
    for row in rows:
        assert row["error"] < 1e-5, row
        assert row["share"] == pytest.approx(row["floor_us"] / row["us"], rel=0.05, abs=3e-3), row  # both are rounded


def test_every_batch_is_decoded(result: Any) -> None:
    for of in ("engine", "peer"):
        rows = result[of]["decoding"]
        assert [(row["batch"], row["context"]) for row in rows] == [(1, 32), (3, 32)]
        assert "left_out" not in str(rows)


def test_a_part_that_fails_is_left_out_with_the_reason(tmp_path: Path) -> None:
    arguments = ["--tiny", "--device", "cpu", "--folder", str(tmp_path), "--json", str(tmp_path / "found.json")]
    bench_gpu.main([*arguments, "--parts", "ceilings,kernels", "--kernels", "none"])
    found = json.loads((tmp_path / "found.json").read_text())
    assert "there is no kernel backend 'none'" in found["kernels"]["left_out"]
    assert "GB/s" in found["ceilings"]


def test_a_part_has_a_process_of_its_own(tmp_path: Path, result: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = argparse.Namespace(device="cpu", kernels="cpu", folder=tmp_path, tiny=True)
    rows = bench_gpu.in_process_of_its_own("kernels", arguments, {"ceilings": result["ceilings"]})
    assert {row["backend"] for row in rows} == {"cpu"}
    monkeypatch.setitem(bench_gpu.PARTS, "kernels", 0.01)
    late = bench_gpu.in_process_of_its_own("kernels", arguments, {"ceilings": result["ceilings"]})
    assert late == {"left_out": "it took more than 0.01 s"}
    monkeypatch.setitem(bench_gpu.PARTS, "kernels", 60)
    arguments.kernels = "none"
    failed = bench_gpu.in_process_of_its_own("kernels", arguments, {"ceilings": result["ceilings"]})
    assert "there is no kernel backend 'none'" in failed["left_out"]
    assert failed["said"].startswith("Traceback")


def test_a_part_that_ends_early_leaves_what_it_had_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(*arguments: Any) -> None:
        arguments[-1](["a row"])
        raise RuntimeError("the device is lost")

    monkeypatch.setattr(kernels, "measure", measure)
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    before.write_text(json.dumps({"ceilings": {"raw": {"bytes_per_s": 1.0, "flops": 1.0}}}))
    with pytest.raises(RuntimeError):
        bench_gpu.main(["--part", "kernels", "--before", str(before), "--json", str(after), "--device", "cpu"])
    assert bench_gpu._so_far(after) == {"so_far": ["a row"]}
    assert bench_gpu._so_far(tmp_path / "nothing") == {}


def test_kernels_are_measured_where_little_is_installed() -> None:
    """A machine that is lent may have torch and triton alone."""
    absent = ["msgspec", "pydantic", "pydantic_settings", "xgrammar", "transformers", "safetensors", "nats", "httpx"]
    code = f"import sys; sys.modules.update(dict.fromkeys({absent}))\n"
    code += "from benchmarks import bench_gpu; from benchmarks.gpu import ceilings, kernels, peer"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_the_mixed_load_is_near_its_means() -> None:
    requests = mixed_lengths(4000, longest=2048, vocab_size=1000)
    assert sum(len(prompt) for prompt, _ in requests) / 4000 == pytest.approx(215, rel=0.08)
    assert sum(num_output for _, num_output in requests) / 4000 == pytest.approx(200, rel=0.08)


def test_a_step_reads_all_weights_but_the_embeddings(tmp_path: Path) -> None:
    scale = bench_gpu.SMALL
    path = folder.model_folder(scale, torch.device("cpu"), tmp_path)
    config = decoder_config(ModelCard.load(path))
    embeddings = scale.shape["vocab_size"] * scale.shape["hidden_size"] * 4
    all_weights = sum(file.stat().st_size for file in path.glob("*.safetensors"))
    assert weight_bytes(config, torch.float32) == pytest.approx(all_weights - embeddings, rel=0.02)
