"""An interrupted training goes on from its last whole checkpoint and ends with the same bytes."""

from pathlib import Path

import numpy as np
import pytest
from conftest import augmentation, tiny_images, tiny_model, training

from stages.run.params import Model, Train
from stages.train import checkpoints, main
from stages.train.progress import EpochLine

PARAMS = training(epochs=5)
MODEL = tiny_model("mlp", dropout=[0.2, 0.1])
# All that could have a state: schedule, moving statistics, dropout, augmentation, two precisions.
EVERYTHING = training(
    epochs=5,
    schedule="cosine",
    warmup=1.5,
    label_smoothing=0.1,
    precision="mixed_bfloat16",
    augmentation=augmentation(rotation=10, translation=1, zoom=0.1, shear=0.1, elastic=0.5),
)


@pytest.fixture
def processed(tmp_path: Path) -> Path:
    for name, seed in (("train", 1), ("validation", 2)):
        images, labels = tiny_images(60, seed)
        np.save(tmp_path / f"x_{name}.npy", images)
        np.save(tmp_path / f"y_{name}.npy", labels)
    return tmp_path


@pytest.fixture(autouse=True)
def after_every_epoch(monkeypatch):
    monkeypatch.setattr(checkpoints, "SECONDS_APART", 0)


def run(
    processed: Path, folder: Path, params: Train = PARAMS, model: Model = MODEL
) -> dict[str, bytes]:
    """Run the stage in `folder`; every output's bytes by name."""
    scratch = folder / "scratch"
    main.main(processed, folder / "models", folder / "reports", 0, params, model, scratch)
    paths = [*folder.glob("models/*"), *folder.glob("reports/*")]
    return {path.name: path.read_bytes() for path in paths}


def interrupt(
    processed: Path,
    folder: Path,
    monkeypatch,
    epoch: int,
    params: Train = PARAMS,
    model: Model = MODEL,
    member: int = 0,
) -> None:
    """Run the stage until that epoch, counted from 0, has ended and its checkpoint is written."""
    members = set()

    def stop(self, number, _logs):
        members.add(id(self))
        if number == epoch and len(members) == member + 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EpochLine, "on_epoch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            run(processed, folder, params, model)


def test_an_interrupted_run_ends_with_the_same_bytes(processed, tmp_path, monkeypatch, capsys):
    expected = run(processed, tmp_path / "whole")
    for epoch in (1, 3):  # interrupted twice
        interrupt(processed, tmp_path / "interrupted", monkeypatch, epoch)
    capsys.readouterr()
    assert run(processed, tmp_path / "interrupted") == expected
    output = capsys.readouterr().out
    assert "going on after epoch 4" in output
    assert "epoch 4/5" not in output
    assert "epoch 5/5" in output


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_nothing_of_the_state_is_lost(processed, tmp_path, monkeypatch, name):
    model = tiny_model(name, batch_normalization=True)
    expected = run(processed, tmp_path / "whole", EVERYTHING, model)
    interrupt(processed, tmp_path / "interrupted", monkeypatch, 2, EVERYTHING, model)
    assert run(processed, tmp_path / "interrupted", EVERYTHING, model) == expected


def test_an_ensemble_goes_on_with_the_member_that_was_interrupted(
    processed, tmp_path, monkeypatch, capsys
):
    params = training(epochs=3, members=3)
    expected = run(processed, tmp_path / "whole", params)
    interrupt(processed, tmp_path / "interrupted", monkeypatch, 1, params, member=1)
    capsys.readouterr()
    assert run(processed, tmp_path / "interrupted", params) == expected
    output = capsys.readouterr().out.splitlines()
    said = [line for line in output if line.startswith(("Member", "An interrupted", "epoch"))]
    assert [line[:57] for line in said] == [
        "Member 1 of 3", "An interrupted run left a checkpoint: going on after epoch 3"[:57],
        "Member 2 of 3", "An interrupted run left a checkpoint: going on after epoch 2"[:57],
        *(line[:57] for line in said[4:]),
    ]  # fmt: skip
    assert [line.split("  ")[0] for line in said[4:]] == [
        "epoch 3/3", "Member 3 of 3", "epoch 1/3", "epoch 2/3", "epoch 3/3",
    ]  # fmt: skip


def test_a_finished_training_need_not_train_again(processed, tmp_path, capsys):
    expected = run(processed, tmp_path)
    capsys.readouterr()
    assert run(processed, tmp_path) == expected
    assert "epoch 5/5" not in capsys.readouterr().out


def test_two_generations_are_kept(processed, tmp_path):
    run(processed, tmp_path)
    kept = sorted(path.name for path in (tmp_path / "scratch/0").iterdir())
    assert kept == ["epoch-00004.npz", "epoch-00005.npz"]


@pytest.mark.parametrize("damage", ["torn", "bit flipped", "empty"])
def test_a_damaged_checkpoint_is_skipped(processed, tmp_path, monkeypatch, capsys, damage):
    expected = run(processed, tmp_path / "whole")
    interrupt(processed, tmp_path / "interrupted", monkeypatch, 3)
    newest = tmp_path / "interrupted/scratch/0/epoch-00004.npz"
    content = bytearray(newest.read_bytes())
    if damage == "bit flipped":
        content[len(content) // 2] ^= 1
    newest.write_bytes(content[: {"torn": len(content) // 2, "empty": 0}.get(damage)])
    assert run(processed, tmp_path / "interrupted") == expected
    output = capsys.readouterr().out
    assert "skipped a damaged checkpoint, epoch-00004.npz" in output
    assert "going on after epoch 3" in output


def test_checkpoints_are_at_least_five_seconds_apart(processed, tmp_path, monkeypatch):
    monkeypatch.undo()
    assert checkpoints.SECONDS_APART == 5
    run(processed, tmp_path)
    kept = [path.name for path in (tmp_path / "scratch/0").iterdir()]
    assert kept == ["epoch-00005.npz"]  # the last, which is always kept; the training takes less
