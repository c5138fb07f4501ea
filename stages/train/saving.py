"""Writes the model's files, with bytes that depend on nothing but the network and its weights."""

import json
import tempfile
import zipfile
from pathlib import Path

import keras

from stages.shared.atomic_write import atomic_write

DATE = "1980-01-01@00:00:00"  # instead of the moment of saving; the earliest a zip file can hold
METADATA = "metadata.json"
ARCHIVE_FILES = (METADATA, "config.json", "model.weights.h5")


def save_models(model: keras.Model, onnx: bytes, folder: Path) -> None:
    """Write model.keras and classifier/model.onnx into `folder`."""
    portable = folder / "classifier" / "model.onnx"
    portable.unlink(missing_ok=True)  # a kill between the two leaves one missing, no unlike pair
    save_model(model, folder / "model.keras")
    with atomic_write(portable) as file:
        file.write(onnx)


def save_model(model: keras.Model, path: Path) -> None:
    """Write `model` without its optimizer as a .keras file that has the same bytes each time.

    Keras puts the moment of saving into the file, and memory addresses into the configuration of
    a model that was built; one that is made from its configuration has none, and no optimizer.
    """
    bare = model.__class__.from_config(model.get_config())
    bare.set_weights(model.get_weights())
    with tempfile.TemporaryDirectory() as folder:
        original = Path(folder) / path.name
        bare.save(original)
        with zipfile.ZipFile(original) as archive:
            members = {name: archive.read(name) for name in ARCHIVE_FILES}
    metadata = json.loads(members[METADATA]) | {"date_saved": DATE}
    members[METADATA] = json.dumps(metadata).encode()
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # ZipInfo's date is also the earliest
