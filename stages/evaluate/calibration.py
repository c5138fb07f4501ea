"""How far a network's confidence, the probability of the class it predicts, is from its accuracy.

Everywhere `probabilities` are float32 (images, classes) and `labels` integers (images,).
"""

import numpy as np
import numpy.typing as npt

from stages.shared.scores import DIGITS, Floats, Labels, Probabilities, is_hit

BINS = 15  # of equal width


def confidence_bin(probabilities: Probabilities, bins: int = BINS) -> npt.NDArray[np.intp]:
    """The bin of each image's confidence; a bin includes its upper end."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    bin_of: npt.NDArray[np.intp] = np.ceil(confidence * bins).astype(np.intp) - 1
    return bin_of.clip(0, bins - 1)


def confidence_gaps(probabilities: Probabilities, labels: Labels, bins: int = BINS) -> Floats:
    """Hit less confidence of each image, (images, bins): in the column of its bin, 0 elsewhere."""
    columns = np.zeros((len(labels), bins))
    gaps: Floats = is_hit(probabilities, labels) - probabilities.max(axis=1).astype(np.float64)
    columns[np.arange(len(labels)), confidence_bin(probabilities, bins)] = gaps
    return columns


def calibration_error_of(mean_gaps: Floats) -> Floats:
    """The expected calibration error from the means over images (..., bins) of confidence_gaps.

    Each bin's distance counts by its share of the images (Guo et al., ICML 2017, equation 3).
    """
    error: Floats = np.abs(mean_gaps).sum(axis=-1)
    return error


def calibration_error(probabilities: Probabilities, labels: Labels) -> float:
    return round(
        float(calibration_error_of(confidence_gaps(probabilities, labels).mean(0))), DIGITS
    )


def reliability(
    probabilities: Probabilities, labels: Labels, bins: int = BINS
) -> list[dict[str, float]]:
    """A row for each bin that has images: their mean confidence, their accuracy, their count.

    The points of a reliability diagram: on its diagonal, confidence equals accuracy.
    """
    bin_of = confidence_bin(probabilities, bins)
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = is_hit(probabilities, labels)
    counts, confidences, hits = (
        np.bincount(bin_of, weights=column, minlength=bins).tolist()
        for column in (np.ones(len(labels)), confidence, right)
    )
    return [
        {
            "confidence": round(summed / count, DIGITS),
            "accuracy": round(hit_count / count, DIGITS),
            "count": int(count),
        }
        for count, summed, hit_count in zip(counts, confidences, hits, strict=True)
        if count
    ]
