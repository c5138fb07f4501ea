"""preprocess: IDX files to .npy arrays, some of the training images split off for validation.

Images stay uint8 (count, height, width) and labels uint8 (count,): a quarter of float32's disk,
cache and memory. Scaling to 0-1 belongs to the model, so that there is one preprocessing.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from stages import StageError
from stages.files import write_rows
from stages.idx import Bytes, read_idx
from stages.params import Dataset, Preprocess

Indices = npt.NDArray[np.intp]


def main(raw: Path, processed: Path, dataset: Dataset, preprocess: Preprocess) -> None:
    images, labels = read_pair(raw, "train", dataset.classes)
    test_images, test_labels = read_pair(raw, "test", dataset.classes)
    train, validation = split_indices(labels, **dict(preprocess))
    for split, (x, y), rows in [
        ("train", (images, labels), train),
        ("validation", (images, labels), validation),
        ("test", (test_images, test_labels), np.arange(len(test_labels))),
    ]:
        shape = (len(rows), *x.shape[1:])
        print(f"{split}: images {shape}, labels {shape[:1]}, uint8")
        write_rows(processed / f"x_{split}.npy", x, rows)
        write_rows(processed / f"y_{split}.npy", y, rows)


def read_pair(raw: Path, split: str, classes: list[str]) -> tuple[Bytes, Bytes]:
    """Images (count, height, width) and labels (count,) of one split, checked against each other.

    Raises StageError if counts differ, a label is out of range or a class has no image.
    """
    images = read_idx(raw / f"{split}_images.idx", dimensions=3)
    path = raw / f"{split}_labels.idx"
    labels = read_idx(path, dimensions=1)
    if len(images) != len(labels):
        raise StageError(
            f"{path}: expected {len(images)} labels, one an image; found {len(labels)}"
        )
    counts = np.bincount(labels, minlength=len(classes))
    if len(counts) > len(classes):
        expected = f"labels from 0 to {len(classes) - 1}, one a class of data/catalog.yaml"
        raise StageError(f"{path}: expected {expected}; found {len(counts) - 1}")
    absent = [name for name, count in zip(classes, counts, strict=True) if count == 0]
    if absent:
        raise StageError(f"{path}: expected images of every class; found none of {absent}")
    return images, labels


def split_indices(
    labels: Bytes, validation_fraction: float, split: str, split_seed: int
) -> tuple[Indices, Indices]:
    """The indices of the training and of the validation images, each in rising order.

    tail takes the last ones, stratified the same share of each class by chance, random any.
    Raises StageError if either part would be empty or a class too small to be shared out.
    """
    count = len(labels)
    held_out = round(count * validation_fraction)
    if not 0 < held_out < count:
        raise StageError(
            f"preprocess.validation_fraction: {validation_fraction} of {count} images leaves "
            f"{count - held_out} to train and {held_out} to validate; each needs one at least"
        )
    everything = np.arange(count)
    if split == "tail":
        return everything[:-held_out], everything[-held_out:]
    # Imported here: it takes a second, which the default split need not wait for.
    from sklearn.model_selection import train_test_split  # noqa: PLC0415

    try:
        train, validation = train_test_split(
            everything,
            test_size=held_out,
            random_state=split_seed,
            stratify=labels if split == "stratified" else None,
        )
    except ValueError as error:
        raise StageError(
            f"preprocess.split: {split} cannot share out the classes: {error}"
        ) from None
    return np.sort(train), np.sort(validation)
