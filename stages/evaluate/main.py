"""evaluate: score the model once on the test images. No other stage computes a score on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from stages.evaluate import calibration, class_scores
from stages.evaluate.model_json import describe_model
from stages.evaluate.page_names import keep_from_markup
from stages.evaluate.threshold import choose_threshold, scores_at
from stages.shared.arrays import read_array, read_labels, read_part, write_array, wrong_array
from stages.shared.atomic_write import atomic_write
from stages.shared.baseline import baseline_accuracy, describe_no_better
from stages.shared.errors import UserError
from stages.shared.onnx_model import open_model, predict
from stages.shared.scores import Labels, Probabilities, accuracy, is_hit, loss

if TYPE_CHECKING:
    from stages.run.params import Dataset, Evaluate


THREADS = 2  # the bits are the same with any number


def main(
    models: Path, processed: Path, reports: Path, dataset: Dataset, evaluate: Evaluate
) -> None:
    images, labels = read_part(processed, "test", len(dataset.classes))
    trusted = read_trusted(processed, len(labels), len(dataset.classes))
    training_labels = read_labels(processed / "y_train.npy", len(dataset.classes))
    classifier = models / "classifier"
    model = open_model(classifier / "model.onnx", THREADS)
    refuse_other_sizes(model.image_shape, images.shape[1:])
    probabilities = predict(model, images)
    held_out = read_validation(processed, reports, len(dataset.classes))
    threshold = choose_threshold(*held_out, evaluate.accepted_error)
    scores = scores_on_test(probabilities, labels, trusted, training_labels)
    scores |= scores_at(threshold, probabilities, labels)
    for name, value in scores.items():
        print(f"test {name}: {value}")
    if no_better := describe_no_better(probabilities, labels, training_labels, "test"):
        print(no_better)
    counts = class_scores.confusion_counts(probabilities, labels)
    write_array(reports / "probabilities_test.npy", probabilities)
    names = [keep_from_markup(name) for name in dataset.classes]
    write_json(reports / "confusion.json", class_scores.confusion_rows(counts, names))
    write_json(reports / "classes.json", class_scores.score_rows(counts, names))
    write_json(reports / "reliability.json", calibration.reliability(probabilities, labels))
    described = describe_model(
        classifier / "model.onnx", dataset, scores, len(labels), evaluate.accepted_error, threshold
    )
    write_json(classifier / "model.json", described)
    write_json(reports / "test.json", scores)


def read_validation(
    processed: Path, reports: Path, class_count: int
) -> tuple[Probabilities, Labels]:
    """The probabilities and labels of the validation images; none with train.refit."""
    path = reports / "probabilities_validation.npy"
    probabilities = read_array(path)
    labels = read_labels(processed / "y_validation.npy", class_count)
    if not len(probabilities):
        labels = labels[:0]
    if probabilities.shape != (len(labels), class_count):
        expected = f"a probability of each of {class_count} classes for each validation image"
        raise wrong_array(path, expected, probabilities)
    return probabilities, labels


def refuse_other_sizes(expected: tuple[int, ...], found: tuple[int, ...]) -> None:
    """Raise UserError unless the test images are of the size that the model takes."""
    if expected != found:
        raise UserError(
            f"x_test.npy: expected images of {describe_size(expected)} as the model takes them; "
            f"found {describe_size(found)}: `dvc repro` makes both from one data set"
        )


def describe_size(shape: tuple[int, ...]) -> str:
    height, width, *colours = shape
    return f"{height} x {width} pixels{' in colour' if colours else ''}"


def read_trusted(processed: Path, count: int, class_count: int) -> Labels:
    """The test labels after corrections.csv, -1 for images that it drops; `count` of them."""
    path = processed / "y_test_trusted.npy"
    labels: Labels = read_array(path)
    if labels.dtype.kind != "i" or labels.shape != (count,):
        raise wrong_array(path, f"{count} labels as integers, one a test image", labels)
    low, high = labels.min(), labels.max()
    if low < -1 or high < 0 or high >= class_count:
        expected = f"labels from -1 to {class_count - 1}, not all of them -1"
        raise wrong_array(path, expected, f"{low} to {high}")
    return labels


def scores_on_test(
    probabilities: Probabilities, labels: Labels, trusted: Labels, training_labels: Labels
) -> dict[str, float]:
    """What test.json holds; accuracy_trusted goes by the `trusted` labels that are not -1."""
    right = is_hit(probabilities, labels)
    low, high = class_scores.share_interval(int(right.sum()), len(right))
    known = trusted >= 0
    counts = class_scores.confusion_counts(probabilities, labels)
    return {
        "accuracy": accuracy(probabilities, labels),
        "accuracy_low": low,
        "accuracy_high": high,
        "baseline_accuracy": baseline_accuracy(labels, training_labels),
        "accuracy_trusted": accuracy(probabilities[known], trusted[known]),
        "balanced_accuracy": class_scores.balanced_accuracy(counts),
        "error_count": int((~right).sum()),
        "loss": loss(probabilities, labels),
        "macro_f1": class_scores.macro_f1(counts),
        "calibration_error": calibration.calibration_error(probabilities, labels),
    }


def write_json(path: Path, value: object) -> None:
    """Raises UserError if the value holds a NaN or an infinity, which JSON has no word for."""
    try:
        text = json.dumps(value, indent=2, allow_nan=False)
    except ValueError:
        raise UserError(f"{path}: expected finite numbers, found {value}") from None
    with atomic_write(path) as file:
        file.write(f"{text}\n".encode())
