"""The sweep's stage: python -m sweeps.sweep PROCESSED SWEEPS (sweeps/dvc.yaml, docs/scale.md)."""

import os
import sys
from pathlib import Path

import numpy as np

from stages import StageError
from stages.files import read_array
from stages.inputs import fingerprint, read_inputs, refuse_changes
from stages.lock import held
from stages.run import TEMPORARY
from sweeps.space import read_sweep

PIPELINE = Path("sweeps/dvc.yaml")
SETTINGS = {
    "RAY_AUTH_MODE": "token",  # Ray listens on all interfaces, also on one machine
    "RAY_AIR_NEW_OUTPUT": "0",  # progress.py tells what happens
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no files for TensorBoard
    "TUNE_GLOBAL_CHECKPOINT_S": "2",  # what a killed driver can lose; Ray's own is 10 seconds
}


def main(processed: Path, sweeps: Path) -> None:
    """Run the sweep, or what is left of an interrupted one; write trials, best values and plots.

    Raises StageError for everything that the user can mend, KeyboardInterrupt after Ctrl-C.
    """
    inputs = read_inputs("sweep", PIPELINE)
    sweep, start = read_sweep()
    arrays = {
        split: (
            np.asarray(read_array(processed / f"x_{split}.npy")),
            np.asarray(read_array(processed / f"y_{split}.npy")),
        )
        for split in ("train", "validation")
    }
    os.environ.update(SETTINGS | os.environ)
    # Imported here: refusals need no Ray, and it reads its settings when it is imported.
    from sweeps import cluster, engine, results  # noqa: PLC0415

    with held(TEMPORARY / "sweep.lock"), cluster.joined(sweep.threads):
        cluster.refuse_too_large(sweep)
        storage = cluster.storage_for(TEMPORARY / "sweep")
        name = fingerprint(inputs)
        trials = engine.run_trials(
            sweep, start, arrays["train"], arrays["validation"], storage, name
        )
        try:
            best = results.best_trial(trials)
        except StageError:
            cluster.forget(storage, name, TEMPORARY / "sweep")  # the next run tries them again
            raise
        results.write_trials(trials, sweep.space, sweeps / "trials.csv")
        results.write_parameters(trials, sweep.space, sweeps / "parameters.json")
        results.write_best(best, start, sweeps / "best.yaml")
        refuse_changes("sweep", inputs, PIPELINE)
        cluster.forget(storage, name, TEMPORARY / "sweep")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("expected: python -m sweeps.sweep PROCESSED SWEEPS, as in sweeps/dvc.yaml")
    try:
        main(*map(Path, sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("sweep: interrupted; the next `dvc repro sweeps/dvc.yaml` goes on")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in ("stages", "sweeps"):
            raise
        sys.exit(f"sweep: the package '{error.name}' is missing: `make sweeps` installs it")
    except StageError as error:
        sys.exit(f"sweep: {error}")
    except OSError as error:
        sys.exit(f"sweep: {error}. Make room or access there, then `dvc repro` again.")
