"""The model's file: bytes that depend on nothing but the network and its weights."""

import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras

from stages import StageError
from stages.files import HEAL, replacing

DATE = "1980-01-01@00:00:00"  # for the moment of saving; the earliest that a zip file can hold


def save_model(model: keras.Model, path: Path) -> None:
    """Write `model` without its optimizer as a .keras file that has the same bytes each time.

    Keras puts the moment of saving and memory addresses into the file; both are replaced.
    """
    bare = model.__class__.from_config(model.get_config())  # drops what compile() added
    bare.set_weights(model.get_weights())
    with tempfile.TemporaryDirectory() as folder:
        original = Path(folder) / path.name
        bare.save(original)
        with zipfile.ZipFile(original) as archive:
            members = {name: archive.read(name) for name in sorted(archive.namelist())}
    metadata = json.loads(members["metadata.json"]) | {"date_saved": DATE}
    members["metadata.json"] = json.dumps(metadata).encode()
    config = without_addresses(json.loads(members["config.json"]))
    members["config.json"] = json.dumps(config).encode()
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # ZipInfo's date is the earliest, too


def without_addresses(config: Any) -> Any:
    """The configuration without the entries shared_object_id, which are addresses in memory."""
    if isinstance(config, dict):
        return {
            key: without_addresses(value)
            for key, value in config.items()
            if key != "shared_object_id"
        }
    return [without_addresses(value) for value in config] if isinstance(config, list) else config


def load_model(path: Path) -> keras.Model:
    """The model of a .keras file that save_model wrote. Raises StageError if it is not one."""
    if not path.is_file():
        raise StageError(f"{path} is missing: {HEAL}")
    if not zipfile.is_zipfile(io.BytesIO(path.read_bytes())):
        raise StageError(f"{path}: expected a .keras file. {HEAL}")
    return keras.saving.load_model(path, compile=False, safe_mode=True)
