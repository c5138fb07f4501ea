"""python -m sweeps: search for better values with Ray, judged by the validation images.

sweeps/params.yaml has the space, docs/scale.md what a sweep costs. The results are trials.csv,
values.json and best.yaml, with made_from.json, the record of what they were made from. The same
inputs again do nothing; an interrupted sweep resumes.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from stages.run.environment import recorded_environment
from stages.run.failures import failures_in_one_line
from stages.run.inputs import Inputs, fingerprint, read_files, read_inputs, refuse_changes
from stages.run.interrupts import INTERRUPTED
from stages.run.keys import flatten
from stages.run.lock import hold_lock
from stages.run.params import PARAMS, read_sections
from stages.run.stage import TEMPORARY
from stages.run.yaml_files import read_yaml
from stages.shared.arrays import read_array
from stages.shared.atomic_write import atomic_write
from stages.shared.errors import UserError
from sweeps.ray_settings import set_ray_settings
from sweeps.space import SWEEP, read_sweep
from tools.shared.command_line import make_parser
from tools.shared.paths import PROCESSED

RESULTS = Path("sweeps")
MADE_FROM = RESULTS / "made_from.json"
RESULT_FILES = [RESULTS / name for name in ("trials.csv", "values.json", "best.yaml")]
WITHOUT_EFFECT = ("memory",)  # keys of sweeps/params.yaml that change no result


def main() -> None:
    make_parser("sweeps", __doc__).parse_args()
    with failures_in_one_line("sweep", "`python -m sweeps` again"):
        try:
            run_sweep()
        except KeyboardInterrupt:
            print("sweep: interrupted; the next `python -m sweeps` resumes", file=sys.stderr)
            sys.exit(INTERRUPTED)


def run_sweep() -> None:
    """Run the sweep, or what is left of an interrupted one, unless its results are there.

    Raises UserError for everything that the user can mend, KeyboardInterrupt after Ctrl-C.
    """
    sweep, start = read_sweep()
    refuse_stale_arrays()
    inputs = read_sweep_inputs()
    name = fingerprint(inputs, recorded_environment())
    if is_done(name):
        print(f"Nothing to do: {RESULTS}/ has the results of these inputs")
        return
    background = read_sections()["dataset"].images.background
    arrays = {split: read_part_into_memory(split) for split in ("train", "validation")}
    set_ray_settings(os.environ)
    # Imported here: refusals need no Ray, and Ray reads its settings when it is imported.
    from sweeps import cluster, results, search  # noqa: PLC0415

    folder = TEMPORARY / "sweep"
    with hold_lock(TEMPORARY / "sweep.lock"), cluster.connect_ray(sweep.threads):
        cluster.refuse_too_large(sweep)
        storage = cluster.storage_for(folder)
        trials = search.run_trials(
            sweep, start, arrays["train"], arrays["validation"], background, storage, name
        )
        try:
            best = results.choose_best(trials)
        except UserError:
            cluster.remove_sweep(storage, name, folder)  # the next run tries them again
            raise
        refuse_changes(inputs, read_sweep_inputs())
        results.write_results(trials, best, sweep.space, start, RESULTS)
        write_record(name, inputs)
        cluster.remove_sweep(storage, name, folder)


def refuse_stale_arrays() -> None:
    """Raise UserError unless fetch and preprocess are current, by `dvc status`."""
    command = ["dvc", "status", "--json", "--with-deps", "preprocess"]
    done = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UserError(f"{' '.join(command)} failed: {done.stderr.strip()}")
    if stale := json.loads(done.stdout):
        raise UserError(
            f"expected current arrays, but {' and '.join(sorted(stale))} would run again: "
            "`dvc repro preprocess` first"
        )


def read_sweep_inputs() -> Inputs:
    """What decides a sweep's results: the inputs of train, the sweep's values and its code.

    The network that is chosen may be a value of the space, so every network's block counts.
    """
    of_train = read_inputs("train")
    values: Any = read_yaml(PARAMS)
    of_sweep: Any = read_yaml(SWEEP)
    params = flatten("", {name: values[name] for name in ("dataset", "seed", "train", "model")})
    for key, value in of_sweep.items():
        if key not in WITHOUT_EFFECT:
            params |= flatten(f"{SWEEP}:{key}", value)
    code = sorted(str(path) for path in RESULTS.glob("[!.]*.py"))
    return Inputs(of_train.params | params, of_train.files | read_files(code))


def read_part_into_memory(split: str) -> tuple[Any, Any]:
    """Images and labels of a split; Ray copies them to its workers, so they are not mapped."""
    images, labels = (np.asarray(read_array(PROCESSED / f"{name}_{split}.npy")) for name in "xy")
    return images, labels


def is_done(name: str) -> bool:
    """Whether the results of the inputs with that fingerprint are there, all of them."""
    if not all(path.exists() for path in [MADE_FROM, *RESULT_FILES]):
        return False
    try:
        return bool(json.loads(MADE_FROM.read_text(encoding="utf-8"))["fingerprint"] == name)
    except (ValueError, KeyError, TypeError):
        return False


def write_record(name: str, inputs: Inputs) -> None:
    """What the results were made from: their fingerprint, and every value by its key."""
    record = {"fingerprint": name, "values": inputs.params, "files": sorted(inputs.files)}
    with atomic_write(MADE_FROM) as file:
        file.write((json.dumps(record, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
