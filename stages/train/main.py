"""train: fit the chosen network to the training images, judge it by the validation images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stages.shared.baseline import baseline_accuracy
from stages.train.comparison import refuse_difference
from stages.train.history import describe_overfitting, mean_history, write_history
from stages.train.members import describe_network, fit_members, join_members, make_method
from stages.train.memory import refuse_too_large
from stages.train.onnx_graph import make_onnx, refuse_unknown_layers
from stages.train.parts import choose_parts, read_parts
from stages.train.precision import warn_of_slow_arithmetic
from stages.train.prediction import predict_onnx
from stages.train.saving import save_models
from stages.train.scoring import write_scores
from stages.train.side_by_side import count_processes, fit_side_by_side
from stages.train.summary import write_summary
from stages.train.threads import use_threads

if TYPE_CHECKING:
    from stages.run.params import Dataset, Model, Train


def main(
    processed: Path,
    models: Path,
    reports: Path,
    seed: int,
    train: Train,
    model: Model,
    dataset: Dataset,
    scratch: Path,
    plain: bool,
) -> None:
    use_threads(train.threads)
    training, validation = read_parts(processed)
    parts, held_out = choose_parts(training, validation, train.refit)
    method = make_method(model, train, training, validation, dataset.images.background, plain)
    refuse_too_large(method.make_network, model.name, train.members, train.batch_size)
    warn_of_slow_arithmetic(train.precision)
    first = method.make_network()
    refuse_unknown_layers(first, train.members)
    write_summary(first, train.members, models / "layers.txt")
    processes = count_processes(method)
    if processes > 1:
        fit_side_by_side(method, processed, seed, scratch, processes)
    networks, histories = fit_members(method, parts, held_out, seed, scratch)
    history = mean_history(histories)
    write_history(history, reports / "history.csv")
    judged, labels = held_out or (training[0][:0], training[1][:0])
    baseline = baseline_accuracy(labels, training[1]) if len(labels) else 0.0
    print(describe_overfitting(history, train.keep, baseline))
    result = join_members(method, networks)
    onnx = make_onnx(result)
    refuse_difference(onnx, result, training[0], scratch)
    probabilities = predict_onnx(onnx, result, judged, train.threads)
    write_scores(probabilities, labels, training[1], describe_network(method, result), reports)
    save_models(result, onnx, models)
