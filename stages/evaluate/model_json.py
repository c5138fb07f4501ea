"""What model.json says of the ONNX file beside it: all that it takes to use the classifier."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stages.run.params import Dataset


def describe_model(
    model: Path,
    dataset: Dataset,
    scores: dict[str, float],
    test_images: int,
    accepted_error: float,
    threshold: float | None,
) -> dict[str, Any]:
    """The content of model.json. `scores` are those of the test images, as test.json has them.

    The classifier is unsure of an image if its highest probability is below the threshold; with
    `null`, nothing is known of that. `md5` is the ONNX file's: beside another, this says nothing.
    """
    images = dataset.images
    return {
        "title": dataset.title,
        "classes": dataset.classes,
        "class_axis": dataset.class_axis,
        "images": {
            "height": images.height,
            "width": images.width,
            "colour": images.colour,
            "fit": images.fit,
            "background": images.background,
        },
        "accuracy": scores["accuracy"],
        "test_images": test_images,
        "accepted_error": accepted_error,
        "threshold": threshold,
        "coverage": scores.get("coverage"),
        "error": scores.get("accepted_error_rate"),
        "md5": hashlib.md5(model.read_bytes(), usedforsecurity=False).hexdigest(),
    }
