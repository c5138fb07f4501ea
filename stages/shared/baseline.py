"""Is a network better than a constant answer, the largest class of the training images?

Everywhere `probabilities` are float32 (images, classes); `labels`, `predicted` and
`training_labels` are integers (images,).
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.shared.scores import DIGITS, Floats, Labels, Probabilities, accuracy

LEVEL = 0.025  # of each of the two tests, so that chance passes either in 5 % of cases at most
PERMUTATIONS = 9_999
SEED = 0  # of the permutations: the same predictions get the same verdict
ROUNDING = 1e-9  # by which sums of the same terms in another order may differ


def largest_class(training_labels: Labels) -> int:
    """The class with the most training images; of equally large ones the first."""
    return int(np.bincount(training_labels).argmax())


def baseline_accuracy(labels: Labels, training_labels: Labels) -> float:
    """The accuracy of always answering the largest class of the training images."""
    return round(float((labels == largest_class(training_labels)).mean()), DIGITS)


def describe_no_better(
    probabilities: Probabilities, labels: Labels, training_labels: Labels, split: str
) -> str:
    """One sentence if the network is no better than the largest class, else "".

    It is better if its accuracy or its balanced accuracy is, each by a one-sided test at LEVEL.
    Balanced accuracy keeps a network with class weights, which may pay with accuracy for the small
    classes, from being called useless. The permutations run only if accuracy has not decided.
    """
    predicted, constant = probabilities.argmax(axis=1), largest_class(training_labels)
    if accuracy_p_value(predicted, labels, constant) <= LEVEL:
        return ""
    if balanced_accuracy_p_value(predicted, labels) <= LEVEL:
        return ""
    weights = recall_weights(labels)
    balanced = round(float(weights[predicted == labels].sum()), DIGITS)
    chance = round(1 / np.unique(labels).size, DIGITS)
    return (
        f"On the {split} images ({len(labels):,}), the network is no better than always answering "
        "the largest class of the training images: neither its accuracy "
        f"({accuracy(probabilities, labels)} against "
        f"{baseline_accuracy(labels, training_labels)}) nor its balanced accuracy ({balanced} "
        f"against {chance}, 1 / classes) is higher by more than chance."
    )


def accuracy_p_value(predicted: npt.NDArray[Any], labels: Labels, constant: int) -> float:
    """How often a network that is no better than the constant answer does as well, at most.

    McNemar's exact test, one-sided (Psychometrika 12, 1947): of the images on which just one of
    the two is right, equal accuracy makes each a toss of a fair coin.
    """
    is_right, is_constant_right = predicted == labels, labels == constant
    gained = int((is_right & ~is_constant_right).sum())
    lost = int((is_constant_right & ~is_right).sum())
    return heads_or_more(gained, gained + lost)


def heads_or_more(heads: int, tosses: int) -> float:
    """The probability of at least that many heads in tosses of a fair coin.

    SciPy has it, but train does without SciPy, whose import takes a quarter of a second.
    """
    factorials = np.cumsum(np.log(np.maximum(np.arange(tosses + 1), 1)))  # as logarithms
    counts = np.arange(heads, tosses + 1)
    ways = factorials[tosses] - factorials[counts] - factorials[tosses - counts]
    return min(1.0, float(np.exp(ways - tosses * math.log(2)).sum()))


def balanced_accuracy_p_value(
    predicted: npt.NDArray[Any], labels: Labels, permutations: int = PERMUTATIONS
) -> float:
    """How often predictions that know nothing of the labels have as high a balanced accuracy.

    A permutation test, one-sided: the predictions are dealt out anew among the images. With the
    predictions as dealt counted in, no number of permutations makes false alarms more frequent
    (Phipson and Smyth, Statist. Appl. Genet. Mol. Biol. 9, 2010). It ends early once so many are
    as high that p is above LEVEL anyway (Besag and Clifford, Biometrika 78, 1991): with 10,000
    images all of them take 1.3 s.
    """
    weights, dealt = recall_weights(labels), predicted.copy()
    least = weights[dealt == labels].sum() - ROUNDING
    random = np.random.RandomState(SEED)  # NumPy keeps its numbers in every version (NEP 19)
    enough = math.floor(LEVEL * (permutations + 1)) + 1
    as_high = 1
    for number in range(1, permutations + 1):
        random.shuffle(dealt)
        as_high += int(weights[dealt == labels].sum() >= least)
        if as_high == enough:
            return as_high / (number + 1)
    return as_high / (permutations + 1)


def recall_weights(labels: Labels) -> Floats:
    """What each image adds to the balanced accuracy if it is right; together 1."""
    counts = np.bincount(labels)
    weights: Floats = 1 / (counts[labels] * np.count_nonzero(counts))
    return weights
