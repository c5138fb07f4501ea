"""train: fit the chosen network to the training images, judge it by the validation images."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import keras
import numpy as np

from stages import scores
from stages.architectures import average, build
from stages.batches import Part
from stages.files import read_array, replacing, write_array, write_json, write_table
from stages.fitting import fit
from stages.layers import warn_of_slow_arithmetic
from stages.params import Model, Train
from stages.prediction import predict
from stages.saving import save_model


def main(
    processed: Path,
    models: Path,
    reports: Path,
    seed: int,
    train: Train,
    model: Model,
    scratch: Path,
) -> None:
    training, validation = (read_part(processed, split) for split in ("train", "validation"))
    judge = None if train.refit else validation
    parts = [training] if judge else [training, validation]
    make = maker(model, training, validation)
    warn_of_slow_arithmetic(train.precision)
    write_layers(make(), train.members, models / "layers.txt")
    trained = [
        fit(make, parts, judge, seed + member, train, scratch / str(member))
        for member in announced(train.members)
    ]
    networks, histories = zip(*trained, strict=True)
    write_history(histories, reports / "history.csv")
    result = average(networks)
    write_scores(result, judge, reports)
    save_model(result, models / "model.keras")


def read_part(processed: Path, split: str) -> Part:
    return read_array(processed / f"x_{split}.npy"), read_array(processed / f"y_{split}.npy")


def maker(model: Model, training: Part, validation: Part) -> Callable[[], keras.Model]:
    """What makes the chosen network for these images and all classes of their labels."""
    shape, classes = training[0].shape[1:], 1 + int(max(training[1].max(), validation[1].max()))
    return partial(build, model.name, shape, classes, **dict(model.chosen))


def announced(members: int) -> Iterator[int]:
    """The number of each member, said when its turn comes; a single one needs no word."""
    for member in range(members):
        if members > 1:
            print(f"Member {member + 1} of {members}")
        yield member


def write_layers(network: keras.Model, members: int, path: Path) -> None:
    """Print the table of layers, their output shapes and parameters, and keep it."""
    lines: list[str] = []
    network.summary(line_length=80, print_fn=lines.append)
    if members > 1:
        lines.append(
            f"This is one member; the model is the mean of the probabilities of {members}."
        )
    table = "\n".join(lines)
    print(table)
    with replacing(path) as file:
        file.write(f"{table}\n".encode())


def write_history(histories: Sequence[dict[str, list[float]]], path: Path) -> None:
    """A row an epoch, means over the members; say what it tells of overfitting."""
    columns = {
        name: np.mean([history[name] for history in histories], axis=0).round(5).tolist()
        for name in histories[0]
    }
    epochs = range(1, len(columns["loss"]) + 1)
    write_table(path, {"epoch": epochs, **columns})
    if "validation_loss" in columns:
        print(overfitting(columns["validation_loss"]))
    else:
        print("The validation images were trained on, too (train.refit): nothing judges it here.")


def write_scores(network: keras.Model, validation: Part | None, reports: Path) -> None:
    """Probabilities and scores on the validation images; without these, no row and no score."""
    scored: dict[str, float] = {}
    probabilities = np.zeros((0, network.output.shape[1]), np.float32)
    if validation:
        probabilities, scored = judged(network, validation)
    write_array(reports / "probabilities_validation.npy", probabilities)
    write_json(reports / "validation.json", {**scored, "parameters": network.count_params()})


def judged(network: keras.Model, part: Part) -> tuple[scores.Probabilities, dict[str, float]]:
    """The network's probabilities (count, classes) for the images, and its scores on them."""
    images, labels = part
    probabilities = predict(network, images)
    accuracy, loss = (score(probabilities, labels) for score in (scores.accuracy, scores.loss))
    return probabilities, {"accuracy": accuracy, "loss": loss}


def overfitting(validation_loss: list[float]) -> str:
    """What the history says about overfitting: the best epoch on validation against the last."""
    best, last = int(np.argmin(validation_loss)), len(validation_loss) - 1
    if best == last:
        return f"No overfitting seen: the validation loss was lowest in the last epoch, {last + 1}."
    return (
        f"Overfitting after epoch {best + 1}: the validation loss was lowest there, "
        f"{validation_loss[best]:.4f}; epoch {last + 1}, the last, has {validation_loss[last]:.4f}."
    )
