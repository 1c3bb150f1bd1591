"""The tensors of a model folder's safetensors files, one after the other."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from xylem.shared.model_info.model_card import ModelError, read_json


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The shards of a model, opened: mapped into memory, and read when a tensor is asked for."""

    files: dict[str, Path]  # by tensor name
    opened: dict[Path, Any]

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator["Checkpoint"]:
        """Opens the shards that the folder's index names, or the one file. Raises ModelError with the faulty file."""
        files: dict[str, Path] = {}
        opened: dict[Path, Any] = {}
        with ExitStack() as stack:
            for file in _files(path):
                with _reading(file):
                    opened[file] = stack.enter_context(safe_open(file, framework="pt"))
                    files |= dict.fromkeys(opened[file].keys(), file)
            yield cls(files, opened)

    def read_tensor(self, name: str) -> Tensor:
        """Reads one tensor. Raises ModelError that names the file when it can't be read."""
        file = self.files[name]
        with _reading(file):
            tensor: Tensor = self.opened[file].get_tensor(name)
            return tensor

    @property
    def num_bytes(self) -> int:
        return sum(file.stat().st_size for file in self.opened)


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file} can't be read, it may be truncated: {error}") from None


def _files(path: Path) -> list[Path]:
    index = path / "model.safetensors.index.json"
    if index.exists():
        shards = read_json(index).get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise ModelError(f"{index} has no weight_map")
        names = sorted(set(map(str, shards.values())))
        for name in names:
            if Path(name).name != name:
                raise ModelError(f"{index} names {name!r}: a shard lies in the folder itself")
        files = [path / name for name in names]
    else:
        files = [path / "model.safetensors"]
    for file in files:
        if not file.is_file():
            others = "; only safetensors are read" if list(path.glob("*.bin")) else ""
            raise ModelError(f"{file} is missing{others}")
    return files
