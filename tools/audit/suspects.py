"""Which labels are suspect, and in which order a person looks at them: confident learning.

Northcutt, Jiang, Chuang, Confident learning: estimating uncertainty in dataset labels, Journal of
Artificial Intelligence Research 70, 2021.
Everywhere `probabilities` (images, classes) are of networks that have not trained on the image.
"""

import numpy as np
import numpy.typing as npt

from stages.shared.scores import Labels, Probabilities

Indices = npt.NDArray[np.intp]

TOLERANCE = 1e-6  # of rounding, that a probability may lack of its class's threshold


def rank_suspects(of_kinds: Probabilities, labels: Labels) -> Indices:
    """The images that the networks rather see in another class, the most suspect first.

    `of_kinds` are the probabilities (kinds, images, classes) by each kind of network. An image is
    as suspect as the kind has it that believes its label most: what one kind alone gets wrong is no
    suspect. With one kind, this ranks by the probability of the given label, the paper's
    self-confidence. The paper's own choice, `is_confident_error`, is a part of the suspects:
    measured on MNIST with 1 % of the labels wrong, it has nine in ten of the wrong ones, the
    ranking all of them.
    """
    suspects = np.flatnonzero(of_kinds.mean(axis=0).argmax(axis=1) != labels)
    most = of_kinds[:, suspects, labels[suspects]].max(axis=0)
    ranked: Indices = suspects[np.argsort(most, kind="stable")]
    return ranked


def is_confident_error(probabilities: Probabilities, labels: Labels) -> npt.NDArray[np.bool_]:
    """Whether confident learning counts each label as wrong (images,).

    It does if the networks are confident of another class: its probability reaches the mean that
    the class has for images labelled with it (off the diagonal of the "confident joint").
    """
    confident = choose_confident(probabilities, labels)
    wrong: npt.NDArray[np.bool_] = (confident >= 0) & (confident != labels)
    return wrong


def choose_confident(probabilities: Probabilities, labels: Labels) -> Indices:
    """The most probable class (images,) among those that reach their thresholds; -1 for none."""
    reached = probabilities >= class_thresholds(probabilities, labels) - TOLERANCE
    chosen = np.where(reached, probabilities, -1).argmax(axis=1)
    return np.where(reached.any(axis=1), chosen, -1)


def class_thresholds(probabilities: Probabilities, labels: Labels) -> npt.NDArray[np.float64]:
    """The mean probability (classes,) of each class for images labelled with it.

    A class without an image has infinity: nothing reaches it.
    """
    classes = probabilities.shape[1]
    of_given = probabilities[np.arange(len(labels)), labels]
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, weights=of_given, minlength=classes)
    means: npt.NDArray[np.float64] = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    return means
