"""Opens the model's file, but only after a look at what is in it."""

import io
import json
import math
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from stages.shared.errors import HOW_TO_RESTORE, UserError

ARCHIVE_FILES = ("metadata.json", "config.json", "model.weights.h5")
# What a configuration may name: the layers that stages/train/architectures.py builds, their parts.
CLASSES = {
    "Functional", "InputLayer", "__keras_tensor__", "DTypePolicy",
    "Rescaling", "Flatten", "Reshape", "Dense", "Conv2D", "BatchNormalization", "ReLU", "Dropout",
    "Average", "GlorotUniform", "Zeros", "Ones",
}  # fmt: skip
MODULES = {None, "keras", "keras.layers", "keras.initializers", "keras.src.models.functional"}
WEIGHT_BYTES = 4
# What Python's zip, JSON and HDF5 and Keras raise for bytes that are not such a file's.
UNREADABLE = (
    ValueError, TypeError, KeyError, OSError, EOFError, RuntimeError, zipfile.BadZipFile,
)  # fmt: skip


def load_model(path: Path) -> keras.Model:
    """The model of a .keras file as train writes it, checked before anything is built.

    Raises UserError unless it is a plain zip of exactly the three members, none compressed (so
    that it can't swell), with a configuration of known classes and stored, finite weights.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing: {HOW_TO_RESTORE}")
    content = path.read_bytes()  # once: what is checked is what is loaded
    try:
        config, weights = read_members(content)
        refuse_unknown_classes(config)
        refuse_unstored_weights(weights)
        refuse_more_weights_than_stored(config, len(weights))
        with tempfile.TemporaryDirectory() as folder:
            checked = Path(folder) / "model.keras"
            checked.write_bytes(content)
            model = keras.saving.load_model(checked, compile=False, safe_mode=True)
        if not all(np.isfinite(values).all() for values in model.get_weights()):
            raise ValueError("a weight is not a finite number")
    except UNREADABLE as error:
        raise UserError(
            f"{path}: not a model that this project wrote: {error}. {HOW_TO_RESTORE}"
        ) from None
    return model


def read_members(content: bytes) -> tuple[Any, bytes]:
    """The configuration and the weights' file, as they stand in the zip."""
    if content[:4] != b"PK\x03\x04":
        raise ValueError(f"expected a zip file, found a file that starts with {content[:8]!r}")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        found = archive.infolist()
        if sorted(member.filename for member in found) != sorted(ARCHIVE_FILES):
            names = [member.filename for member in found][:5]
            raise ValueError(f"expected the members {', '.join(ARCHIVE_FILES)}, found {names}")
        if any(member.compress_type != zipfile.ZIP_STORED for member in found):
            raise ValueError("expected members that are stored, found compressed ones")
        if damaged := archive.testzip():
            raise ValueError(f"its member {damaged} does not fit its checksum")
        return json.loads(archive.read("config.json")), archive.read("model.weights.h5")


def refuse_unknown_classes(config: Any) -> None:
    if isinstance(config, dict):
        if "class_name" in config or "registered_name" in config:
            name, module = config.get("class_name"), config.get("module")
            if name not in CLASSES or module not in MODULES:
                raise ValueError(f"the class {module}.{name} is not one of its layers")
            if config.get("registered_name") not in (None, name):
                raise ValueError(f"the class {config['registered_name']} is not one of its layers")
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            refuse_unknown_classes(value)


def refuse_unstored_weights(weights: bytes) -> None:
    """HDF5 can compress arrays or point to other files; then an array is larger than its file."""

    def check(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.nbytes > item.id.get_storage_size():
            raise ValueError(f"the weights {name} are not stored as they are")

    with h5py.File(io.BytesIO(weights)) as file:
        file.visititems(check)


def refuse_more_weights_than_stored(config: Any, stored: int) -> None:
    with keras.StatelessScope(initialize_variables=False):  # shapes alone, no memory
        network = keras.saving.deserialize_keras_object(config, safe_mode=True)
        asked = sum(math.prod(variable.shape) for variable in network.variables)
    if asked * WEIGHT_BYTES > stored:
        raise ValueError(f"{asked:,} weights are configured, more than {stored:,} bytes can hold")
