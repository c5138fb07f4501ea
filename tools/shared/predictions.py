"""Predictions of several revisions on the same images."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stages.shared.errors import UserError
from stages.shared.scores import Labels, Probabilities
from tools.shared.common_images import (
    Common,
    NothingInCommonError,
    find_common,
    refuse_too_few,
)
from tools.shared.contents import Contents, Hashes, read_contents
from tools.shared.paths import IMAGES, LABELS, PROBABILITIES
from tools.shared.revisions import Revision, read_revision
from tools.shared.stored_arrays import read_arrays


class Predictions(NamedTuple):
    """What revisions predict on the same images, in the order in which they were asked for."""

    revisions: list[Revision]
    probabilities: list[Probabilities]  # (images, classes) each
    labels: Labels  # (images,)
    common: Common | None = None  # where the revisions' test sets differ: which images these are


def read_predictions(names: list[str], split: str) -> Predictions:
    """The revisions' predictions on the images of the split, or on those that all of them have.

    Raises UserError if one is missing, or if the images in common are too few.
    """
    path, labels_path = str(PROBABILITIES[split]), str(LABELS[split])
    revisions = [read_revision(name, path) for name in names]
    if split == "validation":
        refuse_trained_on(revisions)
    first, *others = revisions
    probabilities, labels = read_arrays(first, [path, labels_path])
    rest = [read_arrays(revision, [path])[0] for revision in others]
    predictions = Predictions(revisions, [probabilities, *rest], labels)
    return predictions if have_same_images(revisions, split) else keep_common(predictions, split)


def is_held_out(names: list[str]) -> bool:
    """Whether none of the revisions was trained on the validation images."""
    revisions = [read_revision(name, str(PROBABILITIES["validation"])) for name in names]
    return not any(revision.params.get("train.refit") for revision in revisions)


def read_images(predictions: Predictions, split: str) -> npt.NDArray[np.uint8]:
    """The images (count, height, width[, 3]) that the predictions are of."""
    images: npt.NDArray[np.uint8]
    (images,) = read_arrays(predictions.revisions[0], [str(IMAGES[split])])
    return images if predictions.common is None else images[predictions.common.rows[0]]


def refuse_trained_on(revisions: list[Revision]) -> None:
    trained_on = [revision.title for revision in revisions if revision.params.get("train.refit")]
    if trained_on:
        raise UserError(
            f"{', '.join(trained_on)}: expected validation images that were held out, found "
            "train.refit: true, they were trained on. Choose by runs with train.refit: false; "
            "to quote the choice made: --split test."
        )


def have_same_images(revisions: Sequence[Revision], split: str) -> bool:
    """Whether all have the same images with the same labels in the same order."""
    paths = [str(arrays[split]) for arrays in (IMAGES, LABELS)]
    return len({tuple(revision.made.get(path) for path in paths) for revision in revisions}) == 1


def keep_common(predictions: Predictions, split: str) -> Predictions:
    """The predictions on the images that all revisions have, and that none was trained on.

    Raises NothingInCommonError if these are too few, or images or classes of different kinds.
    """
    revisions = predictions.revisions
    refuse_other_classes(revisions)
    tested: list[Contents] = []
    trained_on: dict[str, Hashes] = {}  # by MD5: many runs share theirs
    for revision in revisions:
        seen = ["train", "validation"] if revision.params.get("train.refit") else ["train"]
        contents = read_contents(revision, list(dict.fromkeys([split, *seen])))
        tested.append(contents[split])
        trained_on |= {revision.made[str(IMAGES[name])]: contents[name].hashes for name in seen}
    for revision, images in zip(revisions, tested, strict=True):
        refuse_other_shape(revisions[0], tested[0].shape, revision, images.shape)
    common = find_common(tested, list(trained_on.values()))
    refuse_too_few(common, [revision.title for revision in revisions], split)
    kept = [p[rows] for p, rows in zip(predictions.probabilities, common.rows, strict=True)]
    return Predictions(revisions, kept, tested[0].labels[common.rows[0]], common)


def refuse_other_classes(revisions: Sequence[Revision]) -> None:
    first = revisions[0]
    for other in revisions[1:]:
        if other.classes != first.classes:
            raise NothingInCommonError(
                f"expected the same classes, found {len(first.classes)} in {first.title} and "
                f"{len(other.classes)} in {other.title} with other names or in another order, and "
                "other images: nothing can be compared. `python -m tools.compare --data` says how "
                "the data differ."
            )


def refuse_other_shape(
    a: Revision, a_shape: tuple[int, ...], b: Revision, b_shape: tuple[int, ...]
) -> None:
    if a_shape != b_shape:
        raise NothingInCommonError(
            f"expected images of one size, found {describe_shape(a_shape)} in {a.title} and "
            f"{describe_shape(b_shape)} in {b.title}: they have no image in common. Compare "
            "revisions that agree in dataset.yaml:images."
        )


def describe_shape(shape: tuple[int, ...]) -> str:
    """Such as: 28 x 28 pixels in grey."""
    return f"{shape[0]} x {shape[1]} pixels in {'colour' if len(shape) == 3 else 'grey'}"
