"""An interrupted training goes on from its last whole checkpoint and ends with the same bytes."""

from pathlib import Path

import numpy as np
import pytest
from conftest import tiny_images

from stages import checkpoints, train
from stages.params import Mlp, Model, Train
from stages.progress import EpochLine

PARAMS = Train(epochs=5, batch_size=16, learning_rate=0.01)
MODEL = Model(name="mlp", mlp=Mlp(units=[16, 8], dropout=[0.2, 0.1]))


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


def run(processed: Path, folder: Path) -> dict[str, bytes]:
    """Run the stage in `folder`; every output's bytes by name."""
    scratch = folder / "scratch"
    train.main(processed, folder / "models", folder / "reports", 0, PARAMS, MODEL, scratch)
    paths = [*folder.glob("models/*"), *folder.glob("reports/*")]
    return {path.name: path.read_bytes() for path in paths}


def interrupt(processed: Path, folder: Path, monkeypatch, epoch: int) -> None:
    """Run the stage until that epoch, counted from 0, has ended and its checkpoint is written."""

    def stop(_self, number, _logs):
        if number == epoch:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EpochLine, "on_epoch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            run(processed, folder)


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


def test_a_finished_training_need_not_train_again(processed, tmp_path, capsys):
    expected = run(processed, tmp_path)
    capsys.readouterr()
    assert run(processed, tmp_path) == expected
    assert "epoch 5/5" not in capsys.readouterr().out


def test_two_generations_are_kept(processed, tmp_path):
    run(processed, tmp_path)
    kept = sorted(path.name for path in (tmp_path / "scratch").iterdir())
    assert kept == ["epoch-00004.npz", "epoch-00005.npz"]


@pytest.mark.parametrize("damage", ["torn", "bit flipped", "empty"])
def test_a_damaged_checkpoint_is_skipped(processed, tmp_path, monkeypatch, capsys, damage):
    expected = run(processed, tmp_path / "whole")
    interrupt(processed, tmp_path / "interrupted", monkeypatch, 3)
    newest = tmp_path / "interrupted/scratch/epoch-00004.npz"
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
    assert not (tmp_path / "scratch").exists()  # the whole training takes less
