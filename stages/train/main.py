"""train: fit the chosen network to the training images, judge it by the validation images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stages.shared.arrays import read_array
from stages.train.architectures import average_networks, network_maker
from stages.train.fitting import fit_members
from stages.train.history import describe_overfitting, mean_history, write_history
from stages.train.precision import warn_of_slow_arithmetic
from stages.train.saving import save_model
from stages.train.scoring import write_scores
from stages.train.summary import write_summary
from stages.train.threads import use_threads

if TYPE_CHECKING:
    from stages.run.params import Model, Train
    from stages.train.batches import Part


def main(
    processed: Path,
    models: Path,
    reports: Path,
    seed: int,
    train: Train,
    model: Model,
    scratch: Path,
    plain: bool,
) -> None:
    use_threads(train.threads)
    training, validation = (read_part(processed, split) for split in ("train", "validation"))
    held_out = None if train.refit else validation
    make_network = network_maker(model, training, validation)
    warn_of_slow_arithmetic(train.precision)
    write_summary(make_network(), train.members, models / "layers.txt")
    parts = [training] if held_out else [training, validation]
    networks, histories = fit_members(make_network, parts, held_out, seed, train, scratch, plain)
    history = mean_history(histories)
    write_history(history, reports / "history.csv")
    print(describe_overfitting(history))
    result = average_networks(networks)
    write_scores(result, held_out, reports)
    save_model(result, models / "model.keras")


def read_part(processed: Path, split: str) -> Part:
    return read_array(processed / f"x_{split}.npy"), read_array(processed / f"y_{split}.npy")
