"""llama.cpp's own server, which batches continuously, built from the source that llama-cpp-python carries.

llama-cpp-python's server answers one request after another; this is what llama.cpp can do for many clients.
"""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

from benchmarks.peers.llama_cpp import ABOUT as LLAMA_CPP
from benchmarks.peers.llama_cpp import THREADS, file_of
from benchmarks.peers.llama_cpp import prepare as prepare_file
from benchmarks.peers.protocol import KV_TOKENS, MODEL_NAME, About, main

ABOUT = About(requirements=LLAMA_CPP.requirements, variants=LLAMA_CPP.variants, engine=False)
SLOTS = 32
WITHOUT = ("LLAMA_BUILD_TESTS", "LLAMA_BUILD_EXAMPLES", "LLAMA_BUILD_UI", "LLAMA_USE_PREBUILT_UI", "LLAMA_OPENSSL",
           "BUILD_SHARED_LIBS")  # fmt: skip


def prepare(model: Path, work: Path, variant: str) -> None:
    files(work).mkdir(parents=True, exist_ok=True)
    prepare_file(model, files(work), variant)
    if binary(work).exists():
        return
    package = LLAMA_CPP.requirements[0].replace("[server]", "")
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", "llama-cpp-python", "-d", str(work)]
    subprocess.run([*pip, package], check=True)
    [archive] = work.glob("llama_cpp_python-*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(work, filter="data")
    source = work / archive.name.removesuffix(".tar.gz") / "vendor" / "llama.cpp"
    flags = ["-DCMAKE_BUILD_TYPE=Release", *(f"-D{name}=OFF" for name in WITHOUT)]
    subprocess.run(["cmake", "-S", str(source), "-B", str(work / "build"), *flags], check=True)
    build = ["cmake", "--build", str(work / "build"), "--parallel", str(THREADS), "--target", "llama-server"]
    subprocess.run(["nice", "-n", "19", *build], check=True)


def files(work: Path) -> Path:
    """Where llama-cpp-python has its files: both read the same."""
    return work.with_name("llama_cpp-files")


def binary(work: Path) -> Path:
    return work / "build" / "bin" / "llama-server"


def serve(model: Path, work: Path, variant: str, port: int) -> None:
    file = file_of(files(work), variant)
    options = {
        "--model": str(file), "--alias": MODEL_NAME, "--host": "127.0.0.1", "--port": str(port),
        "--ctx-size": str(KV_TOKENS), "--parallel": str(SLOTS), "--threads": str(THREADS), "--batch-size": "2048",
    }  # fmt: skip
    arguments = [word for option in options.items() for word in option]
    os.execv(binary(work), [str(binary(work)), "--kv-unified", *arguments])


if __name__ == "__main__":
    main(prepare, None, serve)
