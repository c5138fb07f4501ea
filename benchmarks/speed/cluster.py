"""What a second node gives, and what a lost one costs: the measured numbers of docs/scale.md.

python -m benchmarks.speed.cluster [--trials 12] [--epochs 5] [--images 24000]

Starts clusters of one-core nodes on this machine, apart from any other, and runs the same trials
on one node; on two; on two of which one is killed in the middle and replaced. Needs the arrays
(`dvc repro preprocess`), two free cores and `make sweeps`.
"""

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from stages.run.params import PARAMS
from stages.run.yaml_files import read_yaml
from stages.shared.arrays import read_array
from sweeps.ray_settings import SETTINGS
from sweeps.results import Trial
from sweeps.space import Dimension, Scheduler, Sweep

os.environ.update(SETTINGS | {"RAY_AUTH_TOKEN": secrets.token_hex(32)})  # these clusters' own

from ray import tune  # it reads the settings when it is imported
from ray.cluster_utils import Cluster

from sweeps import search
from sweeps.cluster import connect_ray

PROCESSED = Path("data/processed")
MEGABYTE = 1e6


class Measured(NamedTuple):
    seconds: float
    trials: list[Trial]
    started_again: int  # trials
    training: float  # seconds in trials, all together
    epoch: float  # seconds, the fastest of a trial, the median of the trials
    storage: Path


def main() -> None:
    asked = arguments()
    start: Any = read_yaml(PARAMS)
    start["train"] |= {"epochs": asked.epochs, "members": 1, "refit": False}
    sweep = Sweep(
        space={"train.learning_rate": Dimension(low=0.0005, high=0.005, log=True)},
        trials=asked.trials,
        seeds=1,
        sampler_seed=0,
        scheduler=Scheduler(epochs=asked.epochs, grace=asked.epochs, reduction=2),
        threads=1,
        memory=1.0,
    )
    arrays = [read(split, asked.images) for split in ("train", "validation")]
    size = sum(array.nbytes for part in arrays for array in part)
    print(f"{asked.trials} trials of {asked.epochs} epochs; {size / MEGABYTE:.1f} MB of arrays")
    with tempfile.TemporaryDirectory() as folder:
        one = measured(sweep, start, arrays, Path(folder) / "one", nodes=1)
        tell("one node", one)
        two = measured(sweep, start, arrays, Path(folder) / "two", nodes=2)
        tell("two nodes", two)
        print(f"two nodes take {two.seconds / one.seconds:.2f} of one node's time")
        kill_after = two.seconds / 2
        lost = measured(sweep, start, arrays, Path(folder) / "lost", 2, kill_after)
        tell(f"two nodes, one killed after {kill_after:.0f} s and another added", lost)
        for number, trial in enumerate(lost.trials, start=1):
            rate = trial.values["train.learning_rate"]
            score = trial.scores["validation_accuracy"]
            print(
                f"  trial {number}: learning rate {rate:.5f}, accuracy {score:.4f}, {trial.state}"
            )
        print(
            f"an epoch takes {one.epoch:.2f} s on one core, {asked.images / one.epoch:,.0f} images "
            f"a second; {one.seconds - one.training:.0f} s of one node's time are start-up"
        )
        tell_sizes(two)
    if not lost.started_again or any(trial.state != "finished" for trial in lost.trials):
        sys.exit("cluster: expected a trial to lose its node and every trial to finish")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.cluster")
    for name, value in (("trials", 12), ("epochs", 5), ("images", 24_000)):
        parser.add_argument(f"--{name}", type=int, default=value)
    return parser.parse_args()


def read(split: str, images: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The first images and labels of a split, in memory."""
    x, y = (np.array(read_array(PROCESSED / f"{kind}_{split}.npy")[:images]) for kind in "xy")
    return x, y


def measured(
    sweep: Sweep, start: Any, arrays: Any, storage: Path, nodes: int, kill_after: float = 0
) -> Measured:
    """Run the sweep on a new cluster; after that many seconds kill a node and add another."""
    added: list[subprocess.Popen[bytes]] = []
    with started(nodes) as cluster, connect_ray(sweep.threads):
        killer = threading.Timer(kill_after, replace_node, [cluster, added])
        if kill_after:
            killer.start()
        before = time.perf_counter()
        trials = search.run_trials(sweep, start, *arrays, str(storage), "sweep")
        seconds = time.perf_counter() - before
        killer.cancel()
        for node in added:
            node.terminate()
            node.wait()
        kept = tune.ExperimentAnalysis(str(storage / "sweep")).trials
    return Measured(
        seconds,
        trials,
        sum(trial.run_metadata.num_failures > 0 for trial in kept),
        sum(trial.last_result["time_total_s"] for trial in kept),
        median(trial.metric_analysis["time_this_iter_s"]["min"] for trial in kept),
        storage,
    )


@contextmanager
def started(nodes: int) -> Iterator[Cluster]:
    """A head that runs no trials, and nodes of one core each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    os.environ["RAY_ADDRESS"] = cluster.address
    try:
        for _ in range(nodes):
            cluster.add_node(num_cpus=1)
        yield cluster
    finally:
        cluster.shutdown()


def replace_node(cluster: Cluster, added: list[subprocess.Popen[bytes]]) -> None:
    """Kill a node; add another as one does by hand (a thread can start none in another way)."""
    cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
    ray = Path(sys.executable).with_name("ray")
    command = [ray, "start", "--address", cluster.address, "--num-cpus", "1", "--block"]
    added.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))


def tell(what: str, run: Measured) -> None:
    states = [trial.state for trial in run.trials]
    print(
        f"{what}: {run.seconds:.1f} s, {states.count('finished')} of {len(states)} results, "
        f"{run.started_again} trials started again",
        flush=True,
    )


def tell_sizes(run: Measured) -> None:
    """What a trial leaves in the storage."""
    files = [path for path in run.storage.rglob("*") if path.is_file()]
    checkpoints = [path.stat().st_size for path in files if path.suffix == ".npz"]
    state = [path.stat().st_size for path in files if path.name.startswith("experiment_state")]
    print(
        f"storage: {max(checkpoints) / MEGABYTE:.1f} MB a checkpoint, "
        f"{max(state) / len(run.trials) / 1000:.1f} kB of state a trial"
    )


if __name__ == "__main__":
    main()
