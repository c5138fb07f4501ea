"""Runs that are killed, interrupted, edited or doubled: what is seen, that nothing is lost."""

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
from conftest import Project
from faults import Started, assert_nothing_lost, outputs, started

fault = partial(pytest.mark.fault, heading="Runs")

GOING_ON = "An interrupted run left a checkpoint: resuming after epoch"
REDONE = "at most 5 s and an epoch"
TRAIN = ("dvc", "repro", "train")
ENDED = "failed to reproduce 'train'"


# Training. One project is interrupted in every way, one after the other; the last test lets it end.


@pytest.fixture(scope="module")
def long_project(finished_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A training of some seconds that writes a checkpoint of 4 MB after every epoch, not begun."""
    project = finished_project.copy(tmp_path_factory.mktemp("long") / "clone")
    module = project.folder / "stages/train/checkpoints.py"
    code = module.read_text(encoding="utf-8")
    assert "CHECKPOINT_SECONDS = 5.0" in code
    module.write_text(
        code.replace("CHECKPOINT_SECONDS = 5.0", "CHECKPOINT_SECONDS = 0.0"), encoding="utf-8"
    )
    values = {"train.epochs": 60, "train.learning_rate": 0.0001, "model.mlp.units": [512, 512]}
    project.edit(values)
    project.commit("A longer training")
    return project


@pytest.fixture(scope="module")
def interrupted_so_far(long_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return long_project.copy(tmp_path_factory.mktemp("interrupted") / "clone")


@pytest.fixture
def interrupted(interrupted_so_far: Project) -> Iterator[Project]:
    yield interrupted_so_far
    interrupted_so_far.git("checkout", "--", "params.yaml")


def checkpoints(project: Project) -> set[Path]:
    return set(project.folder.glob(".dvc/tmp/stages/train/*/*/epoch-*.npz"))


def until_checkpoint(run: Started, project: Project) -> None:
    """Wait until this run has written a checkpoint: it is in the middle of its training."""
    before = checkpoints(project)
    run.until(lambda: checkpoints(project) - before)


def stage_process(project: Project) -> int:
    return int(project.read(".dvc/tmp/stages/train.lock"))


def exit_code(output: str) -> int:
    """What dvc says that the stage ended with. Killed by a signal, it is minus the signal's number
    or 128 more: dvc starts a stage through $SHELL, which may have replaced itself by the stage.
    """
    (code,) = re.findall("exited with (-?[0-9]+)", output)
    return int(code)


def stop(process: int) -> None:
    os.kill(process, signal.SIGSTOP)
    time.sleep(0.02)  # until it has really stopped


@fault(
    done="`kill -9` during training, then `dvc repro`",
    seen=GOING_ON,
    lost=REDONE,
)
def test_a_killed_training_goes_on(interrupted: Project, seen: str) -> None:
    with started(interrupted, *TRAIN) as run:
        until_checkpoint(run, interrupted)
        assert seen not in run.send(signal.SIGKILL)
    with started(interrupted, *TRAIN) as run:
        run.until(seen)


@fault(
    done="`kill -9` of the stage while it writes a checkpoint",
    seen=ENDED,
    lost=REDONE,
)
def test_a_checkpoint_that_is_being_written_is_no_loss(interrupted: Project, seen: str) -> None:
    def being_written() -> list[Path]:
        return list(interrupted.folder.glob(".dvc/tmp/stages/train/*/*/*.part"))

    with started(interrupted, *TRAIN) as run:
        until_checkpoint(run, interrupted)
        process = stage_process(interrupted)
        run.until(being_written)
        stop(process)
        while not being_written():  # too late: it was renamed meanwhile
            os.kill(process, signal.SIGCONT)
            run.until(being_written)
            stop(process)
        os.kill(process, signal.SIGKILL)
        output = run.ended()
    assert seen in output
    assert exit_code(output) in {-signal.SIGKILL, 128 + signal.SIGKILL}
    assert being_written()
    assert len(checkpoints(interrupted)) >= 2


@fault(
    done="`kill -9` of the stage while it trains members side by side",
    seen=GOING_ON,
    lost=REDONE,
)
def test_members_side_by_side_end_with_a_killed_stage(interrupted: Project, seen: str) -> None:
    interrupted.edit({"train.threads": 1, "train.members": 2})
    with started(interrupted, *TRAIN) as run:
        run.until(lambda: {path.parent.name for path in checkpoints(interrupted)} >= {"0", "1"})
        stage = psutil.Process(stage_process(interrupted))
        members = stage.children()
        assert len(members) >= 2
        stage.kill()
        run.ended()
    _, alive = psutil.wait_procs(members, timeout=20)
    assert not alive
    with started(interrupted, *TRAIN) as run:
        run.until(seen)


@fault(done="Ctrl-C during training", seen=ENDED, lost=REDONE)
def test_ctrl_c_in_training(interrupted: Project, seen: str) -> None:
    with started(interrupted, *TRAIN) as run:
        until_checkpoint(run, interrupted)
        output = run.send(signal.SIGINT)
    assert seen in output
    assert exit_code(output) in {-signal.SIGINT, 128 + signal.SIGINT}
    assert "Traceback" not in output


@fault(done="SIGTERM to the stage during training", seen=ENDED, lost=REDONE)
def test_sigterm_in_training(interrupted: Project, seen: str) -> None:
    with started(interrupted, *TRAIN) as run:
        until_checkpoint(run, interrupted)
        os.kill(stage_process(interrupted), signal.SIGTERM)
        output = run.ended()
    assert seen in output
    assert exit_code(output) in {-signal.SIGTERM, 128 + signal.SIGTERM}


@fault(done="A second `dvc repro` during training", seen="is busy, it is being blocked by")
def test_a_second_run_is_told_of_the_first(interrupted: Project, seen: str) -> None:
    with started(interrupted, *TRAIN) as run:
        until_checkpoint(run, interrupted)
        stop(stage_process(interrupted))  # else it may end too early
        output = interrupted.dvc("repro", "train", code=255)
        assert seen in output
        os.kill(stage_process(interrupted), signal.SIGCONT)
        until_checkpoint(run, interrupted)


@fault(
    done="`kill -9` of dvc alone, then `dvc repro` beside its training",
    seen="already running, as process",
    lost=REDONE,
)
def test_an_orphaned_training_is_named(interrupted: Project, seen: str) -> None:
    with started(interrupted, *TRAIN) as run:
        until_checkpoint(run, interrupted)
        run.process.kill()
        run.process.wait()
        stop(stage_process(interrupted))  # else it may end too early
        output = interrupted.dvc("repro", "train", code=255)
        assert seen in output
        (orphan,) = re.findall(f"{seen} ([0-9]+)", output)
        os.kill(stage_process(interrupted), signal.SIGCONT)
        interrupted.run("kill", orphan)


@fault(
    done="`train.learning_rate` edited after a kill: training starts over",
    seen="epoch 1/60 ",
)
def test_another_training_does_not_go_on_from_a_checkpoint(interrupted: Project, seen: str) -> None:
    interrupted.edit({"train.learning_rate": 0.002})
    with started(interrupted, *TRAIN) as run:
        until_checkpoint(run, interrupted)
        run.until(seen)
        output = run.send(signal.SIGKILL)
    assert GOING_ON not in output


@fault(
    done="`train.learning_rate` edited during training",
    seen="changed while this ran: train.learning_rate",
    lost="nothing: undo the edit and training resumes",
)
def test_an_edit_while_the_stage_runs_is_not_recorded(interrupted: Project, seen: str) -> None:
    with started(interrupted, *TRAIN) as run:
        until_checkpoint(run, interrupted)
        interrupted.edit({"train.learning_rate": 0.002})
        assert seen in run.ended()
    assert interrupted.git("status", "--porcelain", "dvc.lock") == ""


def test_after_all_this_the_bytes_are_those_of_an_undisturbed_run(
    long_project: Project, interrupted: Project, tmp_path: Path
) -> None:
    undisturbed = long_project.copy(tmp_path / "clone")
    undisturbed.dvc("repro", "train")
    output = interrupted.dvc("repro", "train")
    assert GOING_ON in output
    assert outputs(interrupted) == outputs(undisturbed)


# The other stages


def forget_from(project: Project, stage: str) -> None:
    """Let DVC know nothing of this stage and of those after it: they must run."""
    shutil.rmtree(project.folder / ".dvc/cache/runs")
    known, _, _ = project.read("dvc.lock").partition(f"  {stage}:\n")
    (project.folder / "dvc.lock").write_text(known, encoding="utf-8")


@pytest.mark.parametrize(
    ("stage", "line"),
    [
        pytest.param(
            "evaluate",
            "test accuracy",
            marks=fault(
                done="`kill -9` during evaluate, then `dvc repro`",
                seen="Running stage 'evaluate'",
            ),
        ),
        pytest.param(
            "plots",
            "samples.png",
            marks=fault(
                done="`kill -9` during a figure, then `dvc repro`",
                seen="Running stage 'plots'",
            ),
        ),
    ],
)
def test_a_killed_stage_runs_again(
    project: Project, finished_project: Project, stage: str, line: str, seen: str
) -> None:
    forget_from(project, stage)
    with started(project, "dvc", "repro") as run:
        run.until(line)
        run.send(signal.SIGKILL)
    assert outputs(project) != outputs(finished_project)
    assert seen in project.dvc("repro")
    assert_nothing_lost(project, finished_project)


@fault(
    done="A learning rate so high that the loss becomes NaN",
    seen="training diverged. Lower train.learning_rate in params.yaml and run again",
)
def test_a_training_that_diverges(project: Project, finished_project: Project, seen: str) -> None:
    values = {
        "train.learning_rate": 10.0, "train.epochs": 5, "train.batch_size": 4,
        "model.mlp.units": [32] * 14, "model.mlp.dropout": [0.0] * 14,
    }  # fmt: skip
    project.edit(values)
    assert seen in project.dvc("repro", code=255)
    assert_nothing_lost(project, finished_project)


# The machine and what lies around


@fault(
    done="`units: [16384, ...]`, a hundred times",
    seen="train: model.mlp.units: training 1 x 26,",
)
def test_a_network_larger_than_the_memory(
    project: Project, finished_project: Project, seen: str
) -> None:
    project.edit({"model.mlp.units": [16_384] * 100, "model.mlp.dropout": [0.0] * 100})
    output = project.dvc("repro", "train", code=255)
    assert seen in output
    assert "GB of memory, and " in output
    assert "Traceback" not in output
    assert_nothing_lost(project, finished_project)


@fault(
    done="`ulimit -v 2000000`, then `dvc repro --force train`",
    seen="train: this shell allows a process 2.0 GB of address space, expected at least 4",
)
def test_a_limit_of_the_shell(project: Project, finished_project: Project, seen: str) -> None:
    command = "ulimit -v 2000000; dvc repro --force --single-item train"
    assert seen in project.run("sh", "-c", command, code=255)
    assert_nothing_lost(project, finished_project)


@fault(
    done="A random.py or numpy.py beside dvc.yaml",
    seen="Running stage 'preprocess'",
)
def test_a_module_that_shadows_another(
    project: Project, finished_project: Project, seen: str
) -> None:
    modules = [project.folder / f"{name}.py" for name in ("random", "numpy", "signal", "json")]
    for module in modules:
        module.write_text("raise SystemExit('shadow')\n", encoding="utf-8")
    variables = {"PYTHONSAFEPATH": "1", "PYTHONWARNINGS": "error"}
    project.environment = project.environment | variables
    assert seen in project.dvc("repro", "--force", "--single-item", "preprocess")
    for module in modules:
        module.unlink()
    assert_nothing_lost(project, finished_project)
