"""evaluate: score the model once on the test images. No other stage computes a score on them."""

from pathlib import Path

import numpy as np

from stages import class_scores, scores
from stages.files import read_array, write_array, write_json
from stages.params import Dataset
from stages.prediction import predict
from stages.saving import load_model


def main(models: Path, processed: Path, reports: Path, dataset: Dataset) -> None:
    images = read_array(processed / "x_test.npy")
    labels = read_array(processed / "y_test.npy")
    model = load_model(models / "model.keras")
    probabilities = predict(model, images)
    metrics = metrics_of(probabilities, labels, dataset.suspect_test_labels)
    for name, value in metrics.items():
        print(f"test {name}: {value}")
    write_array(reports / "probabilities_test.npy", probabilities)
    counts = class_scores.confusion_counts(probabilities, labels)
    write_json(reports / "confusion.json", class_scores.confusion_rows(counts, dataset.classes))
    by_class = class_scores.by_class(probabilities, labels, dataset.classes)
    write_json(reports / "classes.json", by_class)
    write_json(reports / "reliability.json", scores.reliability(probabilities, labels))
    write_json(reports / "test.json", metrics)


def metrics_of(
    probabilities: scores.Probabilities, labels: scores.Labels, suspect_labels: list[int]
) -> dict[str, float]:
    """What reports/test.json holds; suspect_labels are the indices that one accuracy leaves out."""
    right = scores.hits(probabilities, labels)
    low, high = class_scores.share_interval(int(right.sum()), len(right))
    trusted = np.setdiff1d(np.arange(len(labels)), suspect_labels)
    return {
        "accuracy": scores.accuracy(probabilities, labels),
        "accuracy_low": low,
        "accuracy_high": high,
        "accuracy_trusted": scores.accuracy(probabilities[trusted], labels[trusted]),
        "error_count": int((~right).sum()),
        "loss": scores.loss(probabilities, labels),
        "macro_f1": class_scores.macro_f1(probabilities, labels),
        "calibration_error": scores.calibration_error(probabilities, labels),
    }
