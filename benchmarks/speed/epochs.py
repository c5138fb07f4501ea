"""Seconds an epoch, ours beside the same network in PyTorch and scikit-learn."""

import json
import re
import statistics
from collections.abc import Callable

from benchmarks.speed import chosen_recipes
from benchmarks.speed.arithmetic import arithmetic
from benchmarks.speed.clone import Clone
from benchmarks.speed.measure import Measurement, run_in_turn
from benchmarks.speed.results import Result, compare, epoch_seconds
from benchmarks.speed.workplace import Workplace

PYTORCH = ("python", "-m", "benchmarks.peers.pytorch_train")
SKLEARN = ("python", "-m", "benchmarks.peers.sklearn_mlp")


def article_epoch(place: Workplace) -> list[Result]:
    """An epoch of the article's network in float32, beside PyTorch and scikit-learn."""
    prepared = place.prepared()
    prepared.edit({"train.epochs": place.epochs})
    peers = {
        "PyTorch, plain loop": PYTORCH,
        "PyTorch, compiled": (*PYTORCH, "--compile"),
        "scikit-learn, without validation": SKLEARN,
    }
    return epochs(prepared, "epoch of the article's network", peers, place.runs)


def cnn_epoch(place: Workplace) -> list[Result]:
    """An epoch of the CNN recipe, images as they are, beside PyTorch's best on this machine."""
    prepared = place.prepared()
    name = chosen_recipes.use(prepared, chosen_recipes.CNN)
    chosen_recipes.plain(prepared)
    prepared.edit({"train.epochs": max(2, place.epochs // 2)})
    peers = {
        "PyTorch, plain loop": PYTORCH,
        "PyTorch, channels last": (*PYTORCH, "--channels-last"),
        "PyTorch, compiled": (*PYTORCH, "--compile"),
        "PyTorch, compiled, channels last": (*PYTORCH, "--compile", "--channels-last"),
    }
    results = epochs(prepared, "epoch of the CNN recipe", peers, place.runs)
    best = min(results, key=lambda result: statistics.median(result.peer))
    note = f"{name} without augmentation / {best.what.split(' / ')[1]}; {best.note}"
    return [best._replace(what="epoch of the CNN recipe / PyTorch's best", note=note), *results]


def epochs(place: Clone, what: str, peers: dict[str, tuple[str, ...]], runs: int) -> list[Result]:
    """Ours and each peer in turn in one clone, so that all read the same params.yaml and arrays.

    Raises ValueError if PyTorch's network has another number of parameters than ours.
    """
    commands: dict[str, Callable[[], Measurement]] = {"ours": lambda: place.stage("train")}
    for name, command in peers.items():
        commands[name] = lambda command=command: place.run(*command)
    done = run_in_turn(commands, runs)
    refuse_other_networks(place, [run for name in peers for run in done[name]])
    note = limit_of_arithmetic(place, statistics.median(map(epoch_seconds, done["ours"])))
    return [
        compare(f"{what} / {name}", "s", done["ours"], done[name], epoch_seconds, note)
        for name in peers
    ]


def refuse_other_networks(place: Clone, runs: list[Measurement]) -> None:
    report = json.loads((place.folder / "reports/validation.json").read_text(encoding="utf-8"))
    printed = "".join(run.output for run in runs)
    for found in re.findall(r"^parameters (\d+)$", printed, re.MULTILINE):
        if int(found) != report["parameters"]:
            raise ValueError(
                f"expected the same network in PyTorch, with {report['parameters']} parameters; "
                f"found {found}: compare benchmarks/peers/pytorch_networks.py, "
                "stages/train/architectures.py"
            )


def limit_of_arithmetic(place: Clone, seconds: float) -> str:
    """What the products of an epoch would take alone, and how much of the rate is reached."""
    needed = arithmetic(place)
    return (
        f"arithmetic alone {needed.seconds:.2f} s ({needed.gflop:,.0f} GFLOP at {needed.rate:,.0f} "
        f"GFLOP/s), {needed.seconds / seconds:.0%} of ours"
    )
