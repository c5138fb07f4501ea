"""Tensors of a file in torch's legacy format, read without torch.

The file is a chain of pickles: a magic number, a protocol, the system, the tensors; then the
storages' keys, and of each storage its count and its values. A pickle can run any code, so the
file's hash is checked first, and the unpickler knows four names and nothing else.
"""

import collections
import hashlib
import io
import pickle
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

HEADERS = 3  # pickles before that of the tensors
VALUES: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}

Tensors = dict[str, npt.NDArray[Any]]


class View(NamedTuple):
    """A tensor as the file has it: a window on a storage, with strides in values."""

    key: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class TensorUnpickler(pickle.Unpickler):
    def __init__(self, file: io.BufferedIOBase) -> None:
        super().__init__(file)
        self.kinds: dict[str, np.dtype[Any]] = {}  # of the storages, by key

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda *of_view: View(*of_view[:4])
        if module == "torch" and name in VALUES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is not expected in a file of weights")

    def persistent_load(self, saved: Any) -> str:
        _, kind, key, *_ = saved
        self.kinds[key] = VALUES[kind]
        return str(key)


def read_tensors(path: Path, sha256: str) -> Tensors:
    """The tensors of a file by their names.

    Raises ValueError unless the file has this hash, OSError if it cannot be read.
    """
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(f"expected the SHA-256 {sha256}, found {found}")
    file = io.BytesIO(content)
    for _ in range(HEADERS):
        TensorUnpickler(file).load()
    unpickler = TensorUnpickler(file)
    views = unpickler.load()
    storages = {}
    for key in TensorUnpickler(file).load():
        (count,) = struct.unpack("<q", file.read(8))
        kind = unpickler.kinds[key]
        storages[key] = np.frombuffer(file.read(count * kind.itemsize), kind)
    return {name: gather_view(storages[view.key], view) for name, view in views.items()}


def gather_view(storage: npt.NDArray[Any], view: View) -> npt.NDArray[Any]:
    """A tensor's values. Without its strides they would be the right ones in a wrong order."""
    strides = [stride * storage.itemsize for stride in view.strides]
    return np.lib.stride_tricks.as_strided(storage[view.offset :], view.shape, strides).copy()
