"""The history of a training: its file, its mean, and what it says about overfitting."""

from pathlib import Path

import numpy as np
import pytest

from stages.plots.reports import read_table
from stages.train.history import (
    describe_overfitting,
    find_best_epoch,
    mean_history,
    write_history,
)


def test_a_history_comes_back_as_it_was(tmp_path):
    history = {"loss": [0.1, 1e-9, 1 / 3], "rate": [np.nan, 0, -2.5]}
    write_history(history, tmp_path / "file.csv")
    back = read_table(tmp_path / "file.csv")
    assert list(back) == ["epoch", *history]
    for name, values in (history | {"epoch": [1, 2, 3]}).items():
        np.testing.assert_array_equal(back[name], values)


def test_a_history_is_plain_csv(tmp_path):
    write_history({"loss": [0.5, 0.25]}, tmp_path / "file.csv")
    assert (tmp_path / "file.csv").read_bytes() == b"epoch,loss\n1,0.5\n2,0.25\n"


def test_a_history_without_epochs_has_empty_columns(tmp_path):
    write_history({"accuracy": [], "loss": []}, tmp_path / "file.csv")
    back = read_table(tmp_path / "file.csv")
    counts = {name: len(column) for name, column in back.items()}
    assert counts == {"epoch": 0, "accuracy": 0, "loss": 0}


@pytest.mark.parametrize("accuracy", [[0.5], [0.5, 0.6, 0.7]], ids=["shorter", "longer"])
def test_columns_of_unequal_length_are_not_written(tmp_path: Path, accuracy):
    write_history({"loss": [1]}, tmp_path / "file.csv")
    with pytest.raises(ValueError, match=r"shorter|longer"):
        write_history({"accuracy": accuracy, "loss": [0.5, 0.25]}, tmp_path / "file.csv")
    assert (tmp_path / "file.csv").read_bytes() == b"epoch,loss\n1,1\n"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_mean_over_the_members_is_rounded_to_five_decimals():
    histories = [{"loss": [1.0, 0.5]}, {"loss": [0.5, 0.0]}, {"loss": [0.5, 0.5]}]
    assert mean_history(histories) == {"loss": [0.66667, 0.33333]}


def test_the_mean_is_over_the_members_that_still_trained():
    histories = [{"loss": [1.0]}, {"loss": [0.5, 0.25, 0.125]}, {"loss": [0.75, 0.5]}]
    assert mean_history(histories) == {"loss": [0.75, 0.375, 0.125]}


def test_the_best_epoch_is_the_first_of_those_that_history_csv_calls_equal():
    assert find_best_epoch([0.5, 0.250004, 0.250001, 0.4]) == 1
    assert find_best_epoch([0.5, 0.25002, 0.25001, 0.4]) == 2


@pytest.mark.parametrize(
    ("validation_loss", "sentence"),
    [
        ([0.5], "No overfitting seen: the validation loss was lowest in the last epoch, 1."),
        ([0.5, 0.4], "No overfitting seen: the validation loss was lowest in the last epoch, 2."),
        (
            [0.5, 0.25, 0.4],
            (
                "Overfitting after epoch 2: the validation loss was lowest there, 0.2500; "
                "epoch 3, the last, has 0.4000. The model is that of the last epoch; "
                "`train.keep: best` keeps the best one."
            ),
        ),
    ],
)
def test_overfitting_is_read_off_the_validation_loss(validation_loss, sentence):
    history = {"validation_accuracy": [0.4], "validation_loss": validation_loss}
    assert describe_overfitting(history, "last", baseline=0.3) == sentence


def test_after_overfitting_the_value_that_keeps_the_best_epoch_is_named():
    history = {"validation_accuracy": [0.4], "validation_loss": [0.25, 0.4]}
    last, best = (describe_overfitting(history, keep, baseline=0.3) for keep in ("last", "best"))
    assert last.endswith("`train.keep: best` keeps the best one.")
    assert best.endswith("Each network has the weights of its own best epoch (train.keep: best).")


@pytest.mark.parametrize("losses", [[1.1, 1.1], [1.1, 1.0]])
def test_nothing_is_said_about_overfitting_of_a_network_that_learnt_nothing(losses):
    history = {"validation_accuracy": [0.2, 0.33333], "validation_loss": losses}
    said = describe_overfitting(history, "last", baseline=0.3333)
    assert said == (
        "In no epoch was the validation accuracy above 0.3333, that of always answering the "
        "largest class, so nothing is said about overfitting."
    )


def test_without_validation_images_nothing_is_said_about_overfitting():
    said = describe_overfitting({"accuracy": [0.5], "loss": [0.1]}, "last", baseline=0.0)
    assert said.endswith("(train.refit), so no score judges it.")
