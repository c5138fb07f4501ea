"""An interrupted training resumes from its last whole checkpoint and ends with the same bytes."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import normalization, tiny_images, tiny_model, training, write_parts

from stages.train import checkpoints
from stages.train.architectures import ARCHITECTURES
from stages.train.checkpoints import CHECKPOINT_SECONDS
from stages.train.main import main
from stages.train.progress import EpochLine

DATASET = SimpleNamespace(images=SimpleNamespace(background=0))
COLOUR = SimpleNamespace(images=SimpleNamespace(background=[250, 10, 90]))
PARAMS = training(epochs=5)
MODEL = tiny_model("mlp", dropout=[0.2, 0.1])
# All that could have a state: schedule, moving statistics, dropout, augmentation, two precisions.
EVERYTHING = training(
    epochs=5,
    schedule="cosine",
    warmup=1.5,
    label_smoothing=0.1,
    precision="mixed_bfloat16",
    augmentation={"rotation": 10, "translation": 1, "zoom": 0.1, "shear": 0.1, "elastic": 0.5},
)


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    train, validation = (tiny_images(60, seed) for seed in (1, 2))
    return write_parts(tmp_path_factory.mktemp("processed"), train=train, validation=validation)


@pytest.fixture(scope="module", autouse=True)
def after_every_epoch() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0)
        yield


@pytest.fixture(scope="module")
def processed_in_colour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    train, validation = (in_colour(*tiny_images(60, seed)) for seed in (1, 2))
    return write_parts(tmp_path_factory.mktemp("colour"), train=train, validation=validation)


def in_colour(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.stack([images, images // 2, 255 - images], axis=-1), labels


def run(
    processed: Path, folder: Path, params: Any = PARAMS, model: Any = MODEL, dataset: Any = DATASET
) -> dict[str, bytes]:
    """Run the stage in `folder`; every output's bytes by name."""
    models, reports, scratch = (folder / name for name in ("models", "reports", "scratch"))
    main(processed, models, reports, 0, params, model, dataset, scratch, plain=False)
    return outputs(folder)


def outputs(folder: Path) -> dict[str, bytes]:
    paths = [*folder.glob("models/**/*"), *folder.glob("reports/*")]
    return {path.name: path.read_bytes() for path in paths if path.is_file()}


def interrupt(
    processed: Path,
    folder: Path,
    epoch: int,
    params: Any = PARAMS,
    model: Any = MODEL,
    member: int = 0,
    dataset: Any = DATASET,
) -> None:
    """Run the stage until that epoch, counted from 0, has ended and its checkpoint is written."""
    members = set()

    def stop(self: EpochLine, number: int, _logs: dict[str, float]) -> None:
        members.add(self)
        if number == epoch and len(members) == member + 1:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EpochLine, "on_epoch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            run(processed, folder, params, model, dataset)


@pytest.fixture(scope="module")
def finished(processed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the stage has run with PARAMS and MODEL, its checkpoints included."""
    folder = tmp_path_factory.mktemp("finished")
    run(processed, folder)
    return folder


@pytest.fixture(scope="module")
def interrupted_twice(processed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which such a run was interrupted after its second and its fourth epoch."""
    folder = tmp_path_factory.mktemp("interrupted")
    for epoch in (1, 3):
        interrupt(processed, folder, epoch)
    return folder


@pytest.fixture
def interrupted(interrupted_twice: Path, tmp_path: Path) -> Path:
    """A copy of that folder for one test."""
    return shutil.copytree(interrupted_twice, tmp_path / "interrupted")


def test_an_interrupted_run_ends_with_the_same_bytes(processed, interrupted, finished, capsys):
    assert run(processed, interrupted) == outputs(finished)
    output = capsys.readouterr().out
    assert "resuming after epoch 4" in output
    assert "epoch 4/5" not in output
    assert "epoch 5/5" in output


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_no_state_is_lost(processed, tmp_path, name):
    model = tiny_model(name, **normalization(name))
    uninterrupted = run(processed, tmp_path / "uninterrupted", EVERYTHING, model)
    interrupt(processed, tmp_path / "interrupted", 2, EVERYTHING, model)
    assert run(processed, tmp_path / "interrupted", EVERYTHING, model) == uninterrupted


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_no_state_is_lost_in_colour_with_weighted_classes(processed_in_colour, tmp_path, name):
    model = tiny_model(name, **normalization(name))
    params = training(**(vars(EVERYTHING) | {"augmentation": vars(EVERYTHING.augmentation)}))
    params.class_weight = "balanced"
    uninterrupted = run(processed_in_colour, tmp_path / "whole", params, model, COLOUR)
    interrupt(processed_in_colour, tmp_path / "cut", 2, params, model, dataset=COLOUR)
    assert run(processed_in_colour, tmp_path / "cut", params, model, COLOUR) == uninterrupted


def test_an_ensemble_resumes_with_the_member_that_was_interrupted(processed, tmp_path, capsys):
    params = training(epochs=3, members=3)
    uninterrupted = run(processed, tmp_path / "uninterrupted", params)
    interrupt(processed, tmp_path / "interrupted", 1, params, member=1)
    capsys.readouterr()
    assert run(processed, tmp_path / "interrupted", params) == uninterrupted
    output = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in output if line.startswith("member")] == [
        "member 2 of 3: An interrupted run left a checkpoint: resuming after epoch 2",
        "member 2 of 3: epoch 3/3",
        "member 3 of 3: epoch 1/3",
        "member 3 of 3: epoch 2/3",
        "member 3 of 3: epoch 3/3",
    ]


def test_a_finished_training_need_not_train_again(processed, finished, tmp_path, capsys):
    shutil.copytree(finished / "scratch", tmp_path / "scratch")
    assert run(processed, tmp_path) == outputs(finished)
    assert "epoch 5/5" not in capsys.readouterr().out


def test_two_generations_are_kept(finished):
    kept = sorted(path.name for path in (finished / "scratch/0").iterdir())
    assert kept == ["epoch-00004.npz", "epoch-00005.npz"]


def flip_bit(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [lambda content: content[: len(content) // 2], flip_bit, lambda _content: b""],
    ids=["torn", "bit flipped", "empty"],
)
def test_a_damaged_checkpoint_is_skipped(processed, interrupted, finished, capsys, damage):
    newest = interrupted / "scratch/0/epoch-00004.npz"
    newest.write_bytes(damage(newest.read_bytes()))
    assert run(processed, interrupted) == outputs(finished)
    output = capsys.readouterr().out
    assert "skipped a damaged checkpoint, epoch-00004.npz" in output
    assert "resuming after epoch 3" in output


def test_checkpoints_are_at_least_five_seconds_apart_but_for_the_last(
    processed, tmp_path, monkeypatch
):
    now = 0.0

    def end_epoch(*_: object) -> None:
        nonlocal now
        now += 2

    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", CHECKPOINT_SECONDS)
    monkeypatch.setattr(checkpoints, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(EpochLine, "on_epoch_end", end_epoch)
    run(processed, tmp_path, training(epochs=6))
    kept = sorted(path.name for path in (tmp_path / "scratch/0").iterdir())
    assert kept == ["epoch-00004.npz", "epoch-00006.npz"]  # at 6 and 10 seconds
