"""An audit's networks: planned, trained as far as they are not yet, and what they say."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stages.preprocess.main import Selection, select_images
from stages.preprocess.split import join_units
from stages.run.environment import recorded_environment
from stages.run.importing import import_without_hidden, prepare_environment, quiet_stderr
from stages.run.inputs import Inputs, fingerprint, read_declaration, read_files, read_params
from stages.run.params import DATA
from stages.run.stage import TEMPORARY
from stages.shared.arrays import write_array
from stages.shared.errors import HOW_TO_RESTORE, UserError
from tools.audit.folds import (
    Float32s,
    Indices,
    Numbers,
    Task,
    path_of,
    plan_folds,
    plan_test,
    read_probabilities,
    tasks_left,
)
from tools.audit.training import choose_kinds, choose_network, choose_train_values

RAW = Path("data/raw")
LEARNT_FROM = ("train", "validation")

Values = dict[str, tuple[Any, Any]]  # by kind of network: the sections `model` and `train`


class Audit(NamedTuple):
    """What networks say of images that they have not trained on.

    `rows` are the judged images of the source in rising order, `labels` (rows,) theirs, `of_kinds`
    (kinds, rows, classes) the probabilities by each kind of network. `scratch` keeps what may be
    wanted again.
    """

    dataset: Any
    selection: Selection
    splits: tuple[str, ...]
    rows: Indices
    labels: Numbers
    of_kinds: Float32s
    scratch: Path

    @property
    def probabilities(self) -> Float32s:
        """The mean of all kinds (rows, classes)."""
        mean: Float32s = self.of_kinds.mean(axis=0)
        return mean


def run_audit(
    sections: dict[str, Any],
    selection: Selection,
    of_test: bool,
    network: str | None,
    epochs: int | None,
    folds: int,
    folder: Path,
) -> Audit:
    """Train what is still to train, and read what all networks say.

    `network` None chooses by the images, `epochs` None by their number; `folds` is also the number
    of networks of each kind that judge the test images. What is kept lies in `folder`. Raises
    UserError for all that the user can mend.
    """
    dataset, seed = sections["dataset"], sections["seed"]
    learnt = rows_of(selection, LEARNT_FROM)
    shape = selection.source.pixels.shape
    network = network or choose_network(dataset.images)
    kinds = choose_kinds(network, sections["model"], of_test, shape)
    if of_test:
        judged, labels = rows_of(selection, ("test",)), selection.source.labels
        tasks = plan_test(kinds, learnt, judged, folds, seed)
    else:
        judged, labels = learnt, selection.labels
        # Images of a group may be as good as equal.
        units = join_units(selection.contents.numbers, selection.source.groups)[learnt]
        tasks = plan_folds(kinds, learnt, labels[learnt], units, folds, seed)
    count = len(tasks[0].trained)
    values = {
        name: (
            kind.model,
            choose_train_values(kind, sections["train"], count, min(shape[:2]), epochs),
        )
        for name, kind in kinds.items()
    }
    scratch = folder / name_audit(selection, tasks, values)
    keep_only(scratch)
    if left := tasks_left(tasks, scratch):
        say_cost(left, len(tasks), values)
        train_networks(left, selection, learnt, values, dataset, scratch)
    of_kinds = read_probabilities(tasks, judged, len(dataset.classes), scratch)
    splits = ("test",) if of_test else LEARNT_FROM
    return Audit(dataset, selection, splits, judged, labels[judged], of_kinds, scratch)


def read_selection(sections: dict[str, Any]) -> Selection:
    """The images and labels as preprocess would write them now."""
    if not RAW.is_dir():
        raise UserError(f"{RAW} is missing: {HOW_TO_RESTORE}")
    dataset = sections["dataset"]
    return select_images(
        RAW, corrections_of(dataset.folder), dataset, sections["preprocess"], TEMPORARY / "audit"
    )


def corrections_of(name: str) -> Path:
    return DATA / name / "corrections.csv"


def rows_of(selection: Selection, splits: tuple[str, ...]) -> Indices:
    """The images of the source that these splits have, in rising order."""
    return np.sort(np.concatenate([selection.rows[split] for split in splits]))


def name_audit(selection: Selection, tasks: list[Task], values: Values) -> str:
    """A name that is another one for anything that changes what a network says."""
    declared = {stage: read_declaration(stage) for stage in ("preprocess", "train")}
    params = {
        key: value for each in declared.values() for key, value in read_params(each.params).items()
    }
    code = [dep for each in declared.values() for dep in each.deps if dep.startswith("stages/")]
    digest = hashlib.sha256()
    for task in tasks:
        digest.update(f"{task.name} {task.seed}".encode())
        for array in (task.trained, task.judged, selection.labels[task.trained]):
            digest.update(array.tobytes())
    own = {"plan": digest.hexdigest(), "values": repr(values)}
    return fingerprint(Inputs(params | own, read_files([str(RAW), *code])), recorded_environment())


def keep_only(scratch: Path) -> None:
    """Remove what audits of other inputs have left beside this folder, which is made."""
    for path in scratch.parent.glob("*"):
        if path != scratch:
            shutil.rmtree(path)
    scratch.mkdir(parents=True, exist_ok=True)


def say_cost(left: list[Task], networks: int, values: Values) -> None:
    done = networks - len(left)
    images = sum(len(task.trained) * values[task.kind][1].epochs for task in left)
    epochs = sum(values[task.kind][1].epochs for task in left)
    print(
        f"To train: {count_networks(len(left))}, {epochs} epochs in all, {images:,} images"
        + (f"; {count_networks(done)} trained before" if done else ""),
        flush=True,
    )


def count_networks(count: int) -> str:
    return f"{count} network{'' if count == 1 else 's'}"


def train_networks(
    left: list[Task],
    selection: Selection,
    learnt: Indices,
    values: Values,
    dataset: Any,
    scratch: Path,
) -> None:
    """Train the network of each task, and write what it says of the images that it judges."""
    prepare_environment("train")
    with quiet_stderr():
        import_without_hidden("keras")
        # Imported here: it takes seconds, and often everything is trained already.
        from tools.audit.judging import make_judge  # noqa: PLC0415
    judge = make_judge(selection, learnt, values, dataset.images.background, scratch, left)
    for task in left:
        write_array(path_of(task, scratch), judge(task))
