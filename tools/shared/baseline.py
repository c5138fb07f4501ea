"""The workspace's network beside a constant answer, the largest class of the training images."""

from stages.shared.baseline import baseline_accuracy, describe_no_better
from stages.shared.scores import Labels, Probabilities, accuracy
from tools.shared.git import WORKSPACE
from tools.shared.paths import LABELS, PROBABILITIES
from tools.shared.revisions import read_revision
from tools.shared.stored_arrays import AbsentArraysError, read_arrays


def judge_workspace(split: str) -> str:
    """One sentence if the network is no better on the images of the split, else "".

    Raises AbsentArraysError if an array is not here.
    """
    return describe_no_better(*read_answers(split), split)


def describe_baseline(split: str) -> str:
    """The baseline's accuracy beside the network's, and whether the network is no better.

    If an array is not here, which one.
    """
    try:
        probabilities, labels, training_labels = read_answers(split)
    except AbsentArraysError as error:
        return describe_absent(split, error)
    said = (
        f"Always answering the largest class of the training images is right on "
        f"{baseline_accuracy(labels, training_labels)} of the {split} images, the network on "
        f"{accuracy(probabilities, labels)}."
    )
    return f"{said} {describe_no_better(probabilities, labels, training_labels, split)}".rstrip()


def describe_absent(split: str, error: AbsentArraysError) -> str:
    return f"Not compared with the largest class on the {split} images: {error}"


def read_answers(split: str) -> tuple[Probabilities, Labels, Labels]:
    """Probabilities and labels of the images of the split, and labels of the training images."""
    revision = read_revision(WORKSPACE, str(PROBABILITIES[split]))
    paths = [str(PROBABILITIES[split]), str(LABELS[split]), str(LABELS["train"])]
    probabilities, labels, training_labels = read_arrays(revision, paths)
    return probabilities, labels, training_labels
