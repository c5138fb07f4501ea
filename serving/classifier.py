"""The classifier as it ships: model.onnx and model.json, read here and nowhere else.

tools.predict, the server and an export's predict.py use it. It needs ONNX Runtime, NumPy and
Pillow alone.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stages.shared.errors import UserError
from stages.shared.image_reading import read_image
from stages.shared.onnx_model import OnnxModel, open_model, predict

Pixels = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]

DIGITS = 6  # decimals of a probability in JSON and CSV
MODEL_FILES = MODEL, DESCRIPTION = "model.onnx", "model.json"
HOW_TO_GET = "`dvc repro` makes it, `dvc pull` brings it from your team's remote"
NUMBER = (int, float)
# What model.json has to say for an image to be read and an answer to be given.
DESCRIBED: dict[str, type | tuple[type, ...]] = {
    "title": str, "classes": list, "md5": str, "images": dict, "threshold": (*NUMBER, type(None)),
}  # fmt: skip
READING: dict[str, type | tuple[type, ...]] = {
    "height": int, "width": int, "colour": str, "fit": str, "background": (int, list),
}  # fmt: skip


class Answer(NamedTuple):
    """What the classifier says of one image."""

    name: str  # the most probable class
    probability: float
    runner_up: str
    runner_up_probability: float
    unsure: bool  # the highest probability is below the threshold


@dataclass(frozen=True)
class Classifier:
    title: str
    classes: list[str]
    images: Any  # height, width, colour, fit, background: how an image is read
    threshold: float | None  # None: model.json has none
    model: OnnxModel

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image as the network takes it: (height, width) or (height, width, 3)."""
        size = (self.images.height, self.images.width)
        return (*size, 3) if self.images.colour == "rgb" else size

    def read(self, content: bytes) -> Pixels:
        """An image file's content as uint8 of `shape`. Raises BadImageError with the reason."""
        return read_image(content, self.images)

    def predict(self, images: Pixels) -> Probabilities:
        """Probabilities (count, classes) of images (count, *shape)."""
        return predict(self.model, images)

    def answers(self, probabilities: Probabilities, threshold: float | None) -> list[Answer]:
        """The answer for each row; none is unsure if the threshold is None."""
        return [self.answer(row, threshold) for row in probabilities.tolist()]

    def answer(self, row: list[float], threshold: float | None) -> Answer:
        """By Python's own lists: for one image, each call of NumPy takes as long as all of this."""
        highest = max(row)
        first = row.index(highest)
        row[first] = -1.0
        next_highest = max(row)
        second = row.index(next_highest)
        unsure = threshold is not None and highest < threshold
        return Answer(self.classes[first], highest, self.classes[second], next_highest, unsure)


def fields_of(answer: Answer) -> dict[str, str | float | bool]:
    """An answer as JSON and CSV have it."""
    return {
        "class": answer.name,
        "probability": round(answer.probability, DIGITS),
        "runner_up": answer.runner_up,
        "runner_up_probability": round(answer.runner_up_probability, DIGITS),
        "unsure": answer.unsure,
    }


def open_classifier(folder: Path, threads: int = 1) -> Classifier:
    """The classifier of a folder with model.onnx and model.json.

    Raises UserError if one is missing or damaged, or if they do not belong together.
    """
    said = read_description(folder / DESCRIPTION)
    if not (folder / MODEL).is_file():
        raise UserError(f"{folder / MODEL} is missing: {HOW_TO_GET}")
    classifier = Classifier(
        said["title"], list(map(str, said["classes"])), SimpleNamespace(**said["images"]),
        said["threshold"], open_model(folder / MODEL, threads),
    )  # fmt: skip
    refuse_mismatch(folder, classifier)
    refuse_other_model(folder, said["md5"])
    return classifier


def read_description(path: Path) -> dict[str, Any]:
    """What model.json says. Raises UserError if it is missing or lacks what is needed."""
    try:
        said = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path} is missing: {HOW_TO_GET}") from None
    except ValueError as error:
        raise UserError(f"{path}: expected JSON: {error}. {HOW_TO_GET}") from None
    if not isinstance(said, dict):
        raise UserError(f"{path}: expected an object, found {type(said).__name__}. {HOW_TO_GET}")
    refuse_wrong_types(path, said, DESCRIBED)
    refuse_wrong_types(path, said["images"], READING)
    if len(said["classes"]) < 2:
        raise UserError(f"{path}: expected two classes or more, found {said['classes']}")
    return said


def refuse_wrong_types(
    path: Path, found: dict[str, Any], kinds: dict[str, type | tuple[type, ...]]
) -> None:
    for key, kind in kinds.items():
        if key not in found or not isinstance(found[key], kind):
            names = [each.__name__ for each in (kind if isinstance(kind, tuple) else (kind,))]
            raise UserError(
                f"{path}: expected {key} as {' or '.join(names)}, found "
                f"{json.dumps(found[key]) if key in found else 'none'}. {HOW_TO_GET}"
            )


def refuse_mismatch(folder: Path, classifier: Classifier) -> None:
    """Raise UserError unless the network takes images as described and knows as many classes."""
    model, described = classifier.model, (classifier.shape, len(classifier.classes))
    if described != (model.image_shape, model.classes):
        raise UserError(
            f"{folder / MODEL} takes images {model.image_shape} and knows {model.classes} classes, "
            f"but {DESCRIPTION} describes images {described[0]} and {described[1]} classes. "
            f"{HOW_TO_GET}"
        )


def refuse_other_model(folder: Path, md5: str) -> None:
    """Raise UserError if model.json describes another model.onnx, as after train alone ran."""
    found = md5_of_file(folder / MODEL)
    if found != md5:
        raise UserError(
            f"{folder / MODEL} has the MD5 {found}, but {DESCRIPTION} describes {md5}. {HOW_TO_GET}"
        )


def md5_of_file(path: Path) -> str:
    """As DVC computes it; not by stages/run/hashes.py, which needs more packages."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
