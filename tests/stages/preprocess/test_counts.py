"""reports/data.json: every total counted by hand on a small set with every kind of fault in it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CLASSES
from pictures import encode, own_dataset, process, write_files

from stages.preprocess.corrections import Correction
from stages.preprocess.duplicates import are_constant
from tools.shared.corrections import write_corrections


def noise(seed: int) -> bytes:
    return encode(np.random.default_rng(seed).integers(0, 256, (12, 10), np.uint8))


@pytest.fixture
def counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Of each class 20 images of their own to train on, 4 to validate by, 6 to test; and faults."""
    monkeypatch.delenv("DATASET_FOLDER", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files: dict[str, bytes] = {}
    for number, name in enumerate(CLASSES):
        for split, count in (("train", 20), ("validation", 4), ("test", 6)):
            for place in range(count):
                seed = 1_000 * number + 100 * count + place
                files[f"{split}/{name}/{place:02}.png"] = noise(seed)
    files["train/left/twice.png"] = files["train/left/00.png"]
    files["train/left/three times.png"] = files["train/left/00.png"]
    files["train/right/leaked.png"] = files["test/right/05.png"]
    grey = encode(np.full((12, 10), 7, np.uint8))  # constant, but in no array
    files["train/right/conflict.png"] = files["train/middle/conflict.png"] = grey
    files["train/middle/black.png"] = encode(np.zeros((12, 10), np.uint8))
    files["test/middle/white.png"] = encode(np.full((12, 10), 255, np.uint8))
    rows = [
        Correction(hashlib.sha256(files[path]).hexdigest(), path.split("/")[1], new, "")
        for path, new in {
            "train/right/07.png": "left",
            "validation/right/01.png": "",
            "train/middle/03.png": "",
            "test/left/02.png": "right",
            "test/left/03.png": "",
            "test/right/04.png": "",
        }.items()
    ]
    place = tmp_path / "data/tiny"
    write_files(place / "images", files)
    write_corrections(place / "corrections.csv", rows)
    dataset = own_dataset(
        "folder", {"all": {"name": "images", "count": len(files)}}, format={"layout": "splits"},
        skip_bad=True,
    )  # fmt: skip
    process(tmp_path / "data", dataset, tmp_path)
    found: dict[str, Any] = json.loads((tmp_path / "reports/data.json").read_text("utf-8"))
    return found


def test_each_total_is_what_was_put_in(counts):
    assert counts == {
        "train_images": 60 + 2 + 1 - 1,
        "validation_images": 12 - 1,
        "test_images": 18 + 1,
        "duplicates_within_splits": 2,
        "duplicates_across_splits": 1,
        "conflicting_labels": 2,
        "constant_images": 2,
        "relabelled_images": 1,
        "dropped_images": 2,
        "corrected_test_labels": 3,
        "classes": [
            {"class": "left", "train": 20 + 2 + 1, "validation": 4, "test": 6},
            {"class": "middle", "train": 20 + 1 - 1, "validation": 4, "test": 7},
            {"class": "right", "train": 20 - 1, "validation": 4 - 1, "test": 6},
        ],
    }


@pytest.mark.parametrize("shape", [(5, 7), (28, 28), (5, 7, 3), (1, 1), (4, 4, 3)])
def test_an_image_is_constant_if_it_has_one_colour(shape):
    random = np.random.default_rng(0)
    images = np.empty((6, *shape), np.uint8)
    images[:] = random.integers(0, 256, (6, 1, 1, *shape[2:]))
    expected = np.ones(6, bool)
    if shape[0] > 1:
        images[1, 0, 0] += 1
        images[2, -1, -1] += 1
        images[4, shape[0] // 2, 1] += 1
        expected[[1, 2, 4]] = False
    assert are_constant(images).tolist() == expected.tolist()
