"""train.keep and train.patience: the epoch whose weights are kept, and when a training stops."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from conftest import CLASSES, SHAPE, tiny_block, tiny_images, training, write_parts

from stages.train.architectures import build_network
from stages.train.fitting import Method, fit_network
from stages.train.history import History, find_best_epoch
from stages.train.members import fit_members
from stages.train.side_by_side import fit_side_by_side

TRAIN = tiny_images(60, seed=1)
IMAGES, LABELS = tiny_images(24, seed=2)
# Some labels are wrong, so the loss rises once the network is sure of what it learnt.
VALIDATION = IMAGES, np.where(np.arange(24) % 4, LABELS, (LABELS + 1) % len(CLASSES))
EPOCHS = 12

make_network = partial(build_network, "mlp", SHAPE, len(CLASSES), **tiny_block("mlp"))


class Stop(keras.callbacks.Callback):
    """A kill after an epoch, once its checkpoint is written."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch: int, _logs: object = None) -> None:
        if epoch == self.epoch:
            raise InterruptedError


@pytest.fixture(scope="module", autouse=True)
def after_every_epoch() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stages.train.checkpoints.CHECKPOINT_SECONDS", 0.0)
        yield


def fit(
    folder: Path, held_out: Any = VALIDATION, watchers: Any = (), seed: int = 0, **options: Any
) -> tuple[keras.Model, History]:
    method = Method(make_network, training(**{"epochs": EPOCHS} | options))
    return fit_network(method, [TRAIN], held_out, seed, folder, watchers)


def bytes_of(fitted: tuple[keras.Model, History]) -> bytes:
    network, history = fitted
    return b"".join(each.tobytes() for each in network.get_weights()) + repr(history).encode()


def weights_of(fitted: tuple[keras.Model, History]) -> bytes:
    return bytes_of((fitted[0], {}))


@pytest.fixture(scope="module")
def last(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, History]:
    """A whole training that keeps its last epoch."""
    return fit(tmp_path_factory.mktemp("last"))


@pytest.fixture(scope="module")
def best_epoch(last: tuple[keras.Model, History]) -> int:
    """The best epoch of that training, from 0; there are some before it and after it."""
    best = find_best_epoch(last[1]["validation_loss"])
    assert 0 < best < EPOCHS - 4
    return best


def test_the_best_weights_are_those_of_a_run_that_ends_there(last, best_epoch, tmp_path):
    best = fit(tmp_path / "best", keep="best")
    short = fit(tmp_path / "short", epochs=best_epoch + 1)
    assert weights_of(best) == weights_of(short) != weights_of(last)
    assert best[1] == last[1]


def test_patience_ends_training_so_many_epochs_after_the_best(
    last, best_epoch, tmp_path, capsys
):  # fmt: skip
    stopped = fit(tmp_path / "stopped", patience=3)
    ended = best_epoch + 1 + 3
    assert stopped[1] == {name: values[:ended] for name, values in last[1].items()}
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"stopped after epoch {ended}: the validation loss was lowest in epoch {best_epoch + 1} "
        "(train.patience: 3)"
    )
    assert weights_of(stopped) == weights_of(fit(tmp_path / "short", epochs=ended))
    both = fit(tmp_path / "both", keep="best", patience=3)
    assert weights_of(both) == weights_of(fit(tmp_path / "best", keep="best"))


def test_a_patience_above_the_epochs_changes_nothing(last, tmp_path):
    assert bytes_of(fit(tmp_path, patience=100)) == bytes_of(last)


@pytest.mark.parametrize("options", [{"keep": "best"}, {"keep": "best", "patience": 3}])
@pytest.mark.parametrize("after", [-1, 0, 2])
def test_a_kill_changes_no_byte(options, after, best_epoch, tmp_path):
    """Before, in and after the best epoch."""
    whole = bytes_of(fit(tmp_path / "whole", **options))
    with pytest.raises(InterruptedError):
        fit(tmp_path / "killed", watchers=[Stop(best_epoch + after)], **options)
    assert bytes_of(fit(tmp_path / "killed", **options)) == whole


def test_a_training_that_patience_ended_does_not_train_on(tmp_path, capsys, monkeypatch):
    """Its last epoch has a checkpoint, however soon after the one before."""
    monkeypatch.setattr("stages.train.checkpoints.CHECKPOINT_SECONDS", 1e9)
    whole = bytes_of(fit(tmp_path, keep="best", patience=3))
    capsys.readouterr()
    assert bytes_of(fit(tmp_path, keep="best", patience=3)) == whole
    assert "epoch " not in capsys.readouterr().out.replace("resuming after epoch", "")


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_schedule_covers_all_epochs_even_if_patience_ends_them(schedule, tmp_path):
    whole = fit(tmp_path / "whole", schedule=schedule)
    stopped = fit(tmp_path / "stopped", schedule=schedule, patience=1)
    ended = len(stopped[1]["loss"])
    assert ended < EPOCHS
    assert stopped[1]["loss"] == whole[1]["loss"][:ended]


def test_one_validation_image_is_enough(tmp_path):
    one = VALIDATION[0][:1], VALIDATION[1][:1]
    network, history = fit(tmp_path / "best", one, keep="best", patience=2)
    ended = find_best_epoch(history["validation_loss"]) + 1
    short = fit(tmp_path / "short", one, epochs=ended)
    assert weights_of((network, history)) == weights_of(short)


def test_without_validation_images_neither_does_anything(tmp_path):
    """As the audit trains, whatever params.yaml says."""
    plain = fit(tmp_path / "plain", None)
    assert bytes_of(fit(tmp_path / "options", None, keep="best", patience=1)) == bytes_of(plain)


def test_each_member_keeps_its_own_epoch(tmp_path):
    train = training(epochs=EPOCHS, members=3, keep="best", patience=2)
    networks, histories = fit_members(
        Method(make_network, train), [TRAIN], VALIDATION, 0, tmp_path / "members"
    )
    best = [find_best_epoch(history["validation_loss"]) for history in histories]
    assert len(set(best)) > 1
    for seed, (network, epoch) in enumerate(zip(networks, best, strict=True)):
        alone = fit(tmp_path / str(seed), seed=seed, epochs=epoch + 1)
        assert weights_of((network, {})) == weights_of(alone)


@pytest.mark.slow
def test_members_side_by_side_have_the_same_bytes(tmp_path, capfd):
    method = Method(
        make_network, training(epochs=EPOCHS, members=2, threads=1, keep="best", patience=2)
    )
    processed = write_parts(tmp_path / "processed", train=TRAIN, validation=VALIDATION)

    def fit_in(folder: str) -> list[bytes]:
        fitted = fit_members(method, [TRAIN], VALIDATION, 0, tmp_path / folder)
        return [bytes_of(pair) for pair in zip(*fitted, strict=True)]

    one_after_the_other = fit_in("one")
    fit_side_by_side(method, processed, 0, tmp_path / "two", 2)
    said = capfd.readouterr().out
    assert "member 2 of 2: stopped after epoch " in said
    assert fit_in("two") == one_after_the_other
    assert "epoch" not in capfd.readouterr().out  # nothing was left to train
