"""Ray: where the trials run, which values they get, what happens when one is killed.

Local unless RAY_ADDRESS names a cluster. Its workers get stages/ and sweeps/ as Ray's runtime
environment and the arrays through Ray's object store. Checkpoints and results go to the storage:
a folder of this machine, or SWEEP_STORAGE, which must be one that all nodes reach.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import optuna
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from stages import StageError
from sweeps.progress import Progress, number
from sweeps.space import Dimension, Sweep, Values, changed, decoded, encoded, starting_point

if TYPE_CHECKING:  # it imports TensorFlow, which the driver does not need
    from stages.batches import Part

GIB = 2**30
TIMES_KILLED = 3  # that a trial starts again; one whose process always dies must not go on forever
SCORE = "validation_accuracy"


class Trial(NamedTuple):
    """A trial's values by key, and what it last reported; state as trials.csv has it."""

    values: Values
    scores: dict[str, Any]
    state: str
    failure: str


@contextmanager
def cluster(threads: int) -> Iterator[None]:
    """Ray, started on this machine or joined at RAY_ADDRESS; workers with that many threads."""
    count = str(threads)
    workers = {
        "py_modules": [str(Path(code).absolute()) for code in ("stages", "sweeps")],
        "excludes": ["__pycache__"],
        "env_vars": {
            "KERAS_BACKEND": "tensorflow",
            "OMP_NUM_THREADS": count,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_NUM_INTRAOP_THREADS": count,
            "TF_NUM_INTEROP_THREADS": count,
        },
    }
    address = os.environ.get("RAY_ADDRESS", "local")
    here = {"num_cpus": len(os.sched_getaffinity(0)), "include_dashboard": False}
    try:
        ray.init(
            address=address,
            runtime_env=workers,
            log_to_driver=False,  # each worker's output stays in Ray's own log folder
            logging_level="ERROR",
            **(here if address == "local" else {}),
        )
    except (ConnectionError, RuntimeError, ray.exceptions.AuthenticationError) as error:
        raise StageError(
            f"expected a Ray cluster at RAY_ADDRESS={address}, and its token: {error}"
        ) from None
    # A trial's error is a line of progress.py and a row of trials.csv, not a traceback, too.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        ray.shutdown()


def storage_for(folder: Path) -> str:
    """SWEEP_STORAGE, or the folder if all nodes are on this machine. Raises StageError if not."""
    if storage := os.environ.get("SWEEP_STORAGE"):
        return storage
    machines = {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    if len(machines) > 1:
        raise StageError(
            f"the cluster has {len(machines)} machines: expected SWEEP_STORAGE in the environment, "
            "a folder or bucket that all of them reach (/mnt/shared/sweeps, s3://bucket/sweeps)"
        )
    return str(folder.absolute())


def refuse_too_large(sweep: Sweep) -> None:
    """Raise StageError if no node has room for a trial: Ray would wait for one that has."""
    needs = {"CPU": sweep.threads, "memory": sweep.memory * GIB}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(node.get(name, 0) >= needs[name] for name in needs) for node in nodes):
        found = ", ".join(
            f"{n.get('CPU', 0):.0f} and {n.get('memory', 0) / GIB:.1f}" for n in nodes
        )
        raise StageError(
            f"sweeps/params.yaml: a trial takes {sweep.threads} threads and {sweep.memory} GiB; "
            f"the machines have {found}: lower them"
        )


def run_trials(
    sweep: Sweep, start: Values, training: "Part", validation: "Part", storage: str, name: str
) -> list[Trial]:
    """Run the trials, or those that an earlier run under that name has not ended."""
    trainable = tune.with_resources(
        tune.with_parameters(
            trial, sweep=sweep, start=start, training=training, validation=validation
        ),
        {"cpu": sweep.threads, "memory": sweep.memory * GIB},
    )
    path = f"{storage}/{name}"
    if tune.Tuner.can_restore(path):
        ended = sum(trial.is_finished() for trial in tune.ExperimentAnalysis(path).trials)
        print(f"An interrupted sweep ended {ended} of {sweep.trials} trials: going on", flush=True)
        tuner = tune.Tuner.restore(path, trainable, resume_unfinished=True)
    else:
        tuner = tune.Tuner(
            trainable,
            param_space={key: domain(dimension) for key, dimension in sweep.space.items()},
            tune_config=tune_config(sweep, start),
            run_config=tune.RunConfig(
                name=name,
                storage_path=storage,
                failure_config=tune.FailureConfig(max_failures=TIMES_KILLED),
                checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
                callbacks=[Progress(sweep.trials)],
                verbose=0,
            ),
        )
    tuner.fit()
    return ended_trials(sweep, path)


def tune_config(sweep: Sweep, start: Values) -> tune.TuneConfig:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    points = starting_point(sweep.space, start)
    scheduler = sweep.scheduler
    return tune.TuneConfig(
        metric=SCORE,
        mode="max",
        num_samples=sweep.trials,
        search_alg=OptunaSearch(
            seed=sweep.sampler_seed,
            points_to_evaluate=[encoded(sweep.space, point) for point in points],
        ),
        scheduler=ASHAScheduler(
            time_attr="epochs",
            max_t=scheduler.epochs * sweep.seeds,
            grace_period=scheduler.grace,
            reduction_factor=scheduler.reduction,
        ),
        reuse_actors=True,  # the next trial need not import TensorFlow again
    )


def domain(dimension: Dimension) -> Any:
    """The dimension in Ray's terms, whose integer ranges exclude their upper end."""
    if dimension.choices is not None:
        return tune.choice([encoded({"": dimension}, {"": c})[""] for c in dimension.choices])
    low, high = dimension.ends
    if dimension.integer:
        return (tune.lograndint if dimension.log else tune.randint)(low, high + 1)
    return (tune.loguniform if dimension.log else tune.uniform)(low, high)


def trial(
    config: dict[str, Any], sweep: Sweep, start: Values, training: "Part", validation: "Part"
) -> None:
    """What a worker runs. A failure of the values' own is a result; a killed process is not."""
    from sweeps.trial import run  # noqa: PLC0415  # TensorFlow: here, not in the driver

    try:
        values = changed(start, decoded(sweep.space, config))
        run(values, training, validation, sweep.seeds)
    except Exception as error:
        name = "" if isinstance(error, StageError) else f"{type(error).__name__}: "
        # The search is told the worst score there is, so that it avoids such values.
        tune.report({SCORE: 0.0, "epochs": 0, "ended": False, "failure": f"{name}{error}"})


def ended_trials(sweep: Sweep, path: str) -> list[Trial]:
    """The trials by their start. Raises KeyboardInterrupt if some have not ended."""
    trials = sorted(tune.ExperimentAnalysis(path).trials, key=number)
    if len(trials) < sweep.trials or not all(t.is_finished() for t in trials):
        raise KeyboardInterrupt
    return [
        Trial(decoded(sweep.space, t.config), t.last_result, *state(t.last_result, t.status))
        for t in trials
    ]


def state(last: dict[str, Any], status: str) -> tuple[str, str]:
    """finished, stopped by the scheduler, or failed; and why, if it failed."""
    if failure := last.get("failure"):
        return "failed", failure
    if status == "ERROR":
        return "failed", f"its process died {TIMES_KILLED + 1} times"
    return ("finished" if last["ended"] else "stopped"), ""
