"""Which training images are held out for validation."""

import numpy as np
import numpy.typing as npt

from stages.shared.errors import UserError

Indices = npt.NDArray[np.intp]


def split_indices(
    labels: npt.NDArray[np.uint8], validation_fraction: float, split: str, split_seed: int
) -> tuple[Indices, Indices]:
    """The indices of the training and of the validation images, each in rising order.

    tail takes the last ones, stratified the same share of each class by chance, random any.
    Raises UserError if either part would be empty or a class too small to be shared out.
    """
    count = len(labels)
    held_out = round(count * validation_fraction)
    if not 0 < held_out < count:
        raise UserError(
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
        raise UserError(
            f"preprocess.split: {split} cannot share out the classes: {error}"
        ) from None
    return np.sort(train), np.sort(validation)


def refuse_absent_classes(
    labels: npt.NDArray[np.uint8], train: Indices, validation: Indices, classes: list[str]
) -> None:
    """Raise UserError if a class has no image to train on, or none to validate by."""
    for part, rows in (("train on", train), ("validate by", validation)):
        counts = np.bincount(labels[rows], minlength=len(classes))
        absent = [name for name, count in zip(classes, counts, strict=True) if count == 0]
        if absent:
            raise UserError(
                f"the split leaves no image to {part} of {len(absent)} of {len(classes)} classes: "
                f"{', '.join(absent[:10])}. If the images are sorted by class, set "
                "preprocess.split: stratified; if they are few, another validation_fraction"
            )
