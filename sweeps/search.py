"""Ray Tune: which values the trials get, which of them go on, what happens when one is killed."""

import warnings
from typing import TYPE_CHECKING, Any

import optuna
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from stages.run.environment import clean_environment
from stages.shared.errors import UserError
from stages.train.environment import set_environment
from sweeps.cluster import GIB
from sweeps.progress import SCORE, Progress, describe_end, trial_number
from sweeps.results import Trial
from sweeps.space import (
    Dimension,
    Sweep,
    Values,
    decode_choices,
    encode_choices,
    starting_point,
    with_values,
)

if TYPE_CHECKING:  # it imports TensorFlow, which the driver does not need
    from stages.train.batches import Part

KEPT_FOR_RAY = r"(RAY|TUNE|AWS|GOOGLE|PYTHON)_?\w*"  # its own variables, and those of storages
MOST_RESTARTS = 3  # that a trial starts again; one whose process always dies must not go on forever


def run_trials(
    sweep: Sweep,
    start: Values,
    training: "Part",
    validation: "Part",
    background: int | list[int],
    storage: str,
    name: str,
) -> list[Trial]:
    """Run the trials, or those that an earlier run under that name has not ended.

    `background` is what lies beyond an image's edges: grey, or red, green and blue.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # A trial that starts again from its checkpoint reports some epochs twice, to the same effect.
    warnings.filterwarnings("ignore", "The reported value is ignored", UserWarning)
    trainable = tune.with_resources(
        tune.with_parameters(
            run_on_worker,
            sweep=sweep,
            start=start,
            training=training,
            validation=validation,
            background=background,
        ),
        {"cpu": sweep.threads, "memory": sweep.memory * GIB},
    )
    path = f"{storage}/{name}"
    if tune.Tuner.can_restore(path):
        ended = sum(trial.is_finished() for trial in tune.ExperimentAnalysis(path).trials)
        print(f"An interrupted sweep ended {ended} of {sweep.trials} trials: resuming", flush=True)
        tuner = tune.Tuner.restore(path, trainable, resume_unfinished=True)
    else:
        tuner = tune.Tuner(
            trainable,
            param_space={key: make_domain(dimension) for key, dimension in sweep.space.items()},
            tune_config=tune_config(sweep, start),
            run_config=tune.RunConfig(
                name=name,
                storage_path=storage,
                failure_config=tune.FailureConfig(max_failures=MOST_RESTARTS),
                checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
                callbacks=[Progress(sweep.trials)],
                verbose=0,
            ),
        )
    tuner.fit()
    return ended_trials(sweep, path)


def tune_config(sweep: Sweep, start: Values) -> tune.TuneConfig:
    points = starting_point(sweep.space, start)
    scheduler = sweep.scheduler
    return tune.TuneConfig(
        metric=SCORE,
        mode="max",
        num_samples=sweep.trials,
        search_alg=OptunaSearch(
            seed=sweep.sampler_seed,
            points_to_evaluate=[encode_choices(sweep.space, point) for point in points],
        ),
        scheduler=ASHAScheduler(
            time_attr="epochs",
            max_t=scheduler.epochs * sweep.seeds,
            grace_period=scheduler.grace,
            reduction_factor=scheduler.reduction,
        ),
        reuse_actors=True,  # the next trial need not import TensorFlow again
    )


def make_domain(dimension: Dimension) -> Any:
    """The dimension in Ray's terms, whose integer ranges exclude their upper end."""
    if dimension.choices is not None:
        return tune.choice(
            [encode_choices({"": dimension}, {"": c})[""] for c in dimension.choices]
        )
    low, high = dimension.ends
    if dimension.integer:
        return (tune.lograndint if dimension.log else tune.randint)(low, high + 1)
    return (tune.loguniform if dimension.log else tune.uniform)(low, high)


def run_on_worker(
    config: dict[str, Any],
    sweep: Sweep,
    start: Values,
    training: "Part",
    validation: "Part",
    background: int | list[int],
) -> None:
    """What a worker runs. A failure of the values' own is a result; a killed process is not."""
    clean_environment(KEPT_FOR_RAY)
    set_environment()
    from sweeps.trial import run_trial  # noqa: PLC0415  # TensorFlow: here, not in the driver

    try:
        values = with_values(start, decode_choices(sweep.space, config))
        run_trial(values, training, validation, sweep.seeds, background)
    except (OSError, MemoryError):
        raise  # this machine's fault: Ray tries again
    except Exception as error:
        name = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        # The search is told the worst score there is, so that it avoids such values.
        tune.report({SCORE: 0.0, "epochs": 0, "ended": False, "failure": f"{name}{error}"})


def ended_trials(sweep: Sweep, path: str) -> list[Trial]:
    """The trials by their start. Raises KeyboardInterrupt if some have not ended."""
    trials = sorted(tune.ExperimentAnalysis(path).trials, key=trial_number)
    if len(trials) < sweep.trials or not all(t.is_finished() for t in trials):
        raise KeyboardInterrupt
    return [
        Trial(decode_choices(sweep.space, t.config), t.last_result, *describe_end(t))
        for t in trials
    ]
