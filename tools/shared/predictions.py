"""Predictions of several revisions on the same images: the arrays behind the hashes of dvc.lock.

A file is read from the workspace or, by its MD5, from DVC's cache.
"""

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stages.run.hashes import md5_of_bytes
from stages.shared.errors import UserError
from stages.shared.scores import Labels, Probabilities
from tools.shared.cache import cache_path
from tools.shared.git import git_output, list_experiments, read_content
from tools.shared.paths import IMAGES, LABELS, LOCK, PROBABILITIES
from tools.shared.revisions import Revision, differing_keys, read_revision


class Predictions(NamedTuple):
    """What revisions predict on the same images, in the order in which they were asked for."""

    revisions: list[Revision]
    probabilities: list[Probabilities]  # (images, classes) each
    labels: Labels  # (images,)


def read_predictions(names: list[str], split: str) -> Predictions:
    """Raises UserError if one is missing or if they were not made on the same images."""
    path, labels_path = str(PROBABILITIES[split]), str(LABELS[split])
    revisions = [read_revision(name, path) for name in names]
    if split == "validation":
        refuse_trained_on(revisions)
    for other in revisions[1:]:
        refuse_other_images(revisions[0], other, split)
    first, *others = revisions
    probabilities, labels = read_arrays(first, [path, labels_path])
    rest = [read_arrays(revision, [path])[0] for revision in others]
    return Predictions(revisions, [probabilities, *rest], labels)


def is_held_out(names: list[str]) -> bool:
    """Whether none of the revisions was trained on the validation images."""
    revisions = [read_revision(name, str(PROBABILITIES["validation"])) for name in names]
    return not any(revision.params.get("train.refit") for revision in revisions)


def read_images(predictions: Predictions, split: str) -> npt.NDArray[np.uint8]:
    """The images (count, height, width[, 3]) that the predictions are of."""
    return read_arrays(predictions.revisions[0], [str(IMAGES[split])])[0]


def refuse_trained_on(revisions: list[Revision]) -> None:
    trained_on = [revision.title for revision in revisions if revision.params.get("train.refit")]
    if trained_on:
        raise UserError(
            f"{', '.join(trained_on)}: expected validation images that were held out, found "
            "train.refit: true, they were trained on. Choose by runs with train.refit: false; "
            "to quote the choice made: --split test."
        )


def refuse_other_images(a: Revision, b: Revision, split: str) -> None:
    paths = [str(arrays[split]) for arrays in (IMAGES, LABELS)]
    different = [path for path in paths if a.made.get(path) != b.made.get(path)]
    if different:
        hashes = [
            f"  {path}: MD5 {a.made.get(path)} in {a.title}, {b.made.get(path)} in {b.title}"
            for path in different
        ]
        causes = [
            key for key in differing_keys(a.params, b.params) if key.startswith("preprocess.")
        ]
        keys = ", ".join(causes) or "dataset and preprocess"
        raise UserError(
            f"expected predictions on the same {split} images, found different ones:\n"
            + "\n".join(hashes)
            + f"\nCompare revisions that agree in {keys}."
        )


def read_arrays(revision: Revision, paths: list[str]) -> list[npt.NDArray[Any]]:
    """The revision's arrays, each checked against its MD5 in dvc.lock.

    Raises UserError that says how to get those that are missing or are not what they should be.
    """
    sources = {
        path: cache_path(revision.made[path]) if revision.commit else Path(path) for path in paths
    }
    missing = [path for path, source in sources.items() if not source.is_file()]
    if missing:
        raise UserError(
            f"{revision.title}: {', '.join(missing)}: {describe_absence(revision, missing)}"
        )
    return [read_verified_array(revision, path, source) for path, source in sources.items()]


def describe_absence(revision: Revision, missing: list[str]) -> str:
    """That files are missing, and the command that brings them."""
    paths = " ".join(missing)
    if revision.commit is None:
        return f"missing. `dvc pull {paths}` brings it back, `dvc repro` makes it anew."
    refs = list(list_experiments("*", f"--points-at={revision.commit}"))
    if b"remote =" not in (read_content(revision.commit, ".dvc/config") or b""):
        # What pulls for many commits asks each one's own config, and not .dvc/config.local.
        pull = f"git checkout {revision.commit[:7]} && dvc pull {paths} && git checkout -"
    elif refs:
        remote = next(iter(git_output("remote").split()), "origin")
        pull = f"dvc exp pull {remote} {refs[0].rsplit('/', 1)[1]}"
    else:
        pull = f"dvc pull --all-commits {paths}"
    return (
        f"not in DVC's cache. `{pull}` fetches it if it was pushed; else "
        f"`git checkout {revision.commit[:7]}` and `dvc repro` make it anew."
    )


def read_verified_array(revision: Revision, path: str, source: Path) -> npt.NDArray[Any]:
    data = source.read_bytes()
    if md5_of_bytes(data) != revision.made[path]:
        expected = f"expected MD5 {revision.made[path]} as in {LOCK}, found {md5_of_bytes(data)}"
        if revision.commit is None:
            raise UserError(f"workspace: {path}: {expected}. `dvc repro` mends it.")
        mend = describe_absence(revision, [path])
        raise UserError(f"{revision.title}: {path}: {expected}. Delete {source}; then it is {mend}")
    array: npt.NDArray[Any] = np.load(io.BytesIO(data), allow_pickle=False)
    if not np.isfinite(array).all():
        raise UserError(
            f"{revision.title}: {path}: expected probabilities, found values that are no finite "
            "numbers: nothing can be compared with them. Train that model again."
        )
    return array
