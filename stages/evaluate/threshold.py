"""The threshold below which the classifier says "unsure", chosen on the validation images.

Everywhere `probabilities` are float32 (images, classes) and `labels` integers (images,).
"""

import math

import numpy as np
from scipy.special import bdtr

from stages.shared.scores import DIGITS, Labels, Probabilities, is_hit

RISK = 0.05  # that the error among the accepted is above what was asked for, all the same
STARTS = 5  # of the search: from the fewest images that can pass to all


def choose_threshold(
    probabilities: Probabilities, labels: Labels, accepted_error: float
) -> float | None:
    """The lowest threshold on the highest probability with at most that error among the accepted.

    With few images a low error may be luck. So at each threshold an exact binomial test asks
    whether the error is below `accepted_error`, from the surest images on to less sure ones until
    the first that fails. One such sequence would end at the first stray error, so there are
    STARTS, which share the RISK: fixed sequence testing from several starts, in Angelopoulos,
    Bates, Candes, Jordan, Lei, Learn then test (arXiv 2110.01052, 2021). Images of equal
    confidence are accepted together.
    None if no threshold passes: the network errs too often, or there are too few images.
    """
    fewest = math.ceil(math.log(RISK / STARTS) / math.log1p(-accepted_error))  # with no error
    if fewest > len(labels):
        return None
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence = confidence[order]
    errors = np.cumsum(~is_hit(probabilities, labels)[order])
    last_of_equals = np.append(sorted_confidence[1:] < sorted_confidence[:-1], True)
    accepted = np.flatnonzero(last_of_equals) + 1  # how many images, at each threshold
    passes = bdtr(errors[accepted - 1], accepted, accepted_error) <= RISK / STARTS
    failed = np.append(np.flatnonzero(~passes), len(passes))
    starts = np.searchsorted(accepted, np.geomspace(fewest, len(labels), STARTS).round())
    ends = failed[np.searchsorted(failed, starts)]  # the first that fails, of each sequence
    found = ends[ends > starts]
    return float(sorted_confidence[accepted[found.max() - 1] - 1]) if len(found) else None


def scores_at(
    threshold: float | None, probabilities: Probabilities, labels: Labels
) -> dict[str, float]:
    """The share of images that the threshold accepts, and the error among them; {} without one."""
    if threshold is None:
        return {}
    accepted = probabilities.max(axis=1) >= threshold
    scores = {"coverage": round(float(accepted.mean()), DIGITS)}
    if accepted.any():
        wrong = ~is_hit(probabilities[accepted], labels[accepted])
        scores["accepted_error_rate"] = round(float(wrong.mean()), DIGITS)
    return scores
