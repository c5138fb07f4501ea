"""One run of a stage: everything checked before, nothing changed meanwhile."""

import inspect
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from stages.run.environment import recorded_environment
from stages.run.importing import import_stage
from stages.run.inputs import fingerprint, read_declaration, read_inputs, refuse_changes
from stages.run.lock import hold_lock
from stages.run.params import read_sections
from stages.run.plain import is_plain
from stages.run.record import add_record, make_record, refuse_other_inputs
from stages.shared.errors import UserError

TEMPORARY = Path(".dvc/tmp/stages")  # Git and DVC ignore it


def run_stage(stage: str, paths: list[str]) -> None:
    """Check all of params.yaml, call the stage's main, check that no input changed meanwhile.

    `main` names what it needs. Its `Path` arguments come from the command line, in order;
    `temporary` is a folder that goes when the stage has ended well, and `scratch` one that after a
    failure is there for the next run with the same inputs; `plain` says whether to debug
    (plain.py); every other argument is the section of params.yaml of that name, and `dataset` what
    the data set's dataset.yaml says.

    Raises UserError for everything that the user can mend.
    """
    read_sections()  # before all else: it names every problem in one message
    declared, inputs = read_declaration(stage), read_inputs(stage)
    sections = read_sections()  # after the inputs, so that an edit meanwhile is noticed
    with hold_lock(TEMPORARY / f"{stage}.lock"):
        with ThreadPoolExecutor(1) as thread:
            checked = thread.submit(refuse_other_inputs, stage)  # hashes data during the imports
            stage_main = import_stage(stage).main
            checked.result()
        folder = TEMPORARY / stage
        own: dict[str, Any] = {"plain": is_plain(), "temporary": folder / "temporary"}
        if "scratch" in inspect.signature(stage_main).parameters:  # it takes reading every input
            own["scratch"] = folder / fingerprint(inputs, recorded_environment())
        arguments = bind_arguments(stage_main, paths, sections | own)
        record = make_record(declared) if declared.metrics else []
        stage_main(**arguments)
        refuse_changes(inputs, read_inputs(stage))
        for path in declared.metrics:
            add_record(Path(path), record)
        shutil.rmtree(folder, ignore_errors=True)


def bind_arguments(stage_main: Any, paths: list[str], known: dict[str, Any]) -> dict[str, Any]:
    """The arguments of main by name. Raises UserError unless each path has one."""
    names = list(inspect.signature(stage_main).parameters)
    of_paths = [name for name in names if name not in known]
    if len(paths) != len(of_paths):
        raise UserError(f"expected the paths {of_paths}, found {paths}: compare dvc.yaml")
    given = dict(zip(of_paths, map(Path, paths), strict=True))
    return given | {name: known[name] for name in names if name in known}
