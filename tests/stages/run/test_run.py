"""How a stage is started: what it gets, and how it ends when something is wrong."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import Project

from stages.run.importing import quiet_stderr

SLOW = {"keras", "numpy", "sklearn", "tensorflow"}

# Runs a module as `python -m` does, then prints which packages it has imported.
IMPORTS = """
import runpy, sys
try:
    runpy.run_module("stages.run", run_name="__main__", alter_sys=True)
except SystemExit as end:
    print(end.code)
print(sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.fixture
def clone(fresh_project: Project, tmp_path: Path) -> Project:
    """A project of one's own in which nothing has run."""
    return fresh_project.copy(tmp_path / "clone")


def add_stage(project: Project, source: str, head: str = "", takes: str = "seed") -> None:
    """A stage `small` whose main has the body `source`; `head` stands at the top of its module."""
    code = f"""
        {head}
        from pathlib import Path

        def main(first: Path, second: Path, dataset: object, {takes}) -> None:
            {source}
    """
    lines = [line[8:] for line in code.splitlines()]
    folder = project.folder / "stages/small"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "main.py").write_text("\n".join(lines), encoding="utf-8")
    pipeline = yaml.safe_load(project.read("dvc.yaml"))
    declared = {"cmd": "-", "deps": ["stages/small"], "params": ["seed"]}
    pipeline["stages"]["small"] = declared
    (project.folder / "dvc.yaml").write_text(yaml.safe_dump(pipeline), encoding="utf-8")


def run_small(project: Project, *paths: str, code: int = 0) -> str:
    return project.run("python", "-m", "stages.run", "small", *paths, code=code)


# What a stage gets


def test_paths_come_in_order_and_sections_by_name(clone):
    add_stage(clone, "print(first, second, seed, dataset.title, sep=' | ')")
    clone.edit({"seed": 7})
    assert run_small(clone, "a", "b/c") == "a | b/c | 7 | Tiny bars\n"


def test_a_stage_that_asks_for_it_gets_a_folder_that_stays_after_a_failure(clone):
    add_stage(
        clone,
        "scratch.mkdir(parents=True, exist_ok=True); print(len(list(scratch.iterdir())));"
        " (scratch / first).touch(); temporary.mkdir(parents=True); second.rmdir()",
        takes="scratch, temporary",
    )
    run_small(clone, "a", "absent", code=1)
    shutil.rmtree(clone.folder / ".dvc/tmp/stages/small/temporary")
    (clone.folder / "b").mkdir()
    assert run_small(clone, "a", "b") == "1\n"
    assert not (clone.folder / ".dvc/tmp/stages/small").exists()


@pytest.mark.parametrize(("takes", "reads"), [("temporary", False), ("scratch", True)])
def test_a_stage_waits_for_a_hash_of_its_inputs_only_if_it_resumes(clone, takes, reads):
    add_stage(clone, f"print({takes}.name)", takes=takes)
    code = """
from stages.run import stage
stage.fingerprint = lambda *_: "of the inputs"
stage.run_stage("small", ["a", "b"])
"""
    name = "of the inputs" if reads else "temporary"
    assert clone.run("python", "-c", code) == f"{name}\n"


def test_keras_runs_on_tensorflow_whatever_the_user_has_chosen_elsewhere(fresh_project):
    code = """
import os
from stages.run.importing import prepare_environment
prepare_environment("train")
print(*map(os.environ.get, ["KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL"]))
"""
    chosen = {"KERAS_BACKEND": "torch", "TF_CPP_MIN_LOG_LEVEL": "0"}
    project = Project(fresh_project.folder, fresh_project.environment | chosen)
    assert project.run("python", "-c", code) == "tensorflow 0\n"


@pytest.mark.parametrize("paths", [[], ["a"], ["a", "b", "c"]], ids=len)
def test_a_wrong_number_of_paths_is_refused(clone, paths):
    add_stage(clone, "print('started')")
    assert run_small(clone, *paths, code=1) == (
        f"small: expected the paths ['first', 'second'], found {paths}: compare dvc.yaml\n"
    )


# What it need not wait for


@pytest.mark.parametrize(("stage", "package"), [("train", "keras"), ("plots", "seaborn")])
def test_a_stage_does_not_wait_for_what_it_does_not_use(fresh_project, stage, package):
    code = f"""
import sys
from stages.run.importing import HIDDEN, import_stage
import_stage("{stage}")
print(set(HIDDEN["{package}"]) & set(sys.modules))
import_stage("evaluate")
import sklearn.metrics, pandas, seaborn, scipy.stats  # they are hidden during one import alone
"""
    assert fresh_project.run("python", "-c", code, errors=False) == "set()\n"


@pytest.mark.parametrize("stage", ["fetch", "preprocess", "evaluate", "plots"])
def test_only_train_imports_tensorflow(fresh_project, stage):
    code = f"import stages.{stage}.main, sys; print({{'keras', 'tensorflow'}} & set(sys.modules))"
    assert fresh_project.run("python", "-c", code) == "set()\n"


def test_a_mistake_in_params_is_told_before_anything_slow_is_imported(clone):
    clone.edit({"train.epochs": 0})
    printed = clone.run("python", "-c", IMPORTS, "train", "a", "b", "c").splitlines()
    code, imported, *told = printed  # the error's text comes last, from the other stream
    assert code == "1"
    assert "train.epochs" in "\n".join(told)
    assert "pydantic" in imported
    assert SLOW.isdisjoint(yaml.safe_load(imported))


# How it ends


def test_a_mistake_in_params_is_one_message(clone):
    clone.edit({"train.epochs": 0})
    command = ("python", "-m", "stages.run", "train", "data/processed", "models", "reports")
    message = clone.run(*command, code=1)
    first, second = message.splitlines()
    assert first == "train: params.yaml has 1 problem:"
    assert second == "  train.epochs: should be greater than or equal to 1, found 0"
    assert [file.name for file in (clone.folder / "models").iterdir()] == [".gitignore"]


def test_a_python_without_the_packages_is_named(clone):
    """-S leaves out site-packages, as a Python has it that nothing was installed for."""
    command = (sys.executable, "-S", "-m", "stages.run", "train", "a", "b", "c")
    output = clone.run(*command, code=1)
    assert len(output.splitlines()) == 1
    assert output.startswith(f"train: the Python at {sys.executable} lacks the package '")
    assert "run `make` once" in output


@pytest.mark.parametrize("module", ["tools.check", "tools.check --help"])
def test_a_check_without_the_packages_is_no_traceback(clone, module):
    command = (sys.executable, "-S", "-m", *module.split())
    output = clone.run(*command, code=None)
    assert "Traceback" not in output
    assert "--help" in module or "tools.check: the Python at" in output


@pytest.mark.parametrize("stage", ["fetch", "preprocess", "train", "evaluate", "plots"])
def test_a_stage_that_is_started_as_a_module_fails_at_once(fresh_project, stage):
    output = fresh_project.run("python", "-m", f"stages.{stage}", code=1)
    assert "cannot be directly executed" in output
    assert len(output.splitlines()) == 1


def test_too_little_memory_is_told_without_a_traceback(clone):
    add_stage(clone, "bytearray(1 << 62)")
    message = run_small(clone, "a", "b", code=1)
    assert message.startswith("small: there is not enough memory. ")
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("name", ["random", "numpy", "inspect", "logging", "pydantic"])
def test_a_module_beside_dvc_yaml_takes_no_others_place(clone, name):
    (clone.folder / f"{name}.py").write_text("raise SystemExit('shadow')\n", encoding="utf-8")
    add_stage(clone, "print('ran')", head=f"import {name}")
    assert run_small(clone, "a", "b") == "ran\n"


def test_an_address_space_too_small_for_tensorflow_is_refused_before(fresh_project):
    code = "from stages.run.importing import import_stage; import_stage('train')"
    command = f'ulimit -v 1000000; python -c "{code}"'
    output = fresh_project.run("sh", "-c", command, code=1)
    assert "this shell allows a process 1.0 GB of address space, expected at least 4" in output


def test_a_mistake_of_the_user_is_told_without_a_traceback(clone):
    add_stage(
        clone, "from stages.shared.errors import UserError; raise UserError('what, and what to do')"
    )
    assert run_small(clone, "a", "b", code=1) == "small: what, and what to do\n"


def test_a_full_disk_is_told_without_a_traceback(clone):
    add_stage(clone, "raise OSError(28, 'No space left on device', 'x.npy')")
    message = run_small(clone, "a", "b", code=1)
    assert message.startswith("small: [Errno 28] No space left on device: 'x.npy'. Make room")
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    "source", ["raise ValueError('a fault of the code')", "import stages.renamed"]
)
def test_what_only_a_programmer_can_mend_keeps_its_traceback(clone, source):
    add_stage(clone, source)
    output = run_small(clone, "a", "b", code=1)
    assert "Traceback" in output
    assert source in output


def test_an_interrupt_ends_a_stage_quietly(clone):
    add_stage(clone, "print('started', flush=True); import time; time.sleep(60)")
    command = ["python", "-m", "stages.run", "small", "a", "b"]
    process = subprocess.Popen(
        command, cwd=clone.folder, env=clone.environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with process:
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == -signal.SIGINT


# TensorFlow's greeting


def test_the_greeting_is_hidden_and_nothing_else(capfd):
    with quiet_stderr():
        os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called\n")
        os.write(2, b"I0000 00:00:1700000000.000000 1 port.cc:153] oneDNN custom operations\n")
        os.write(2, b"W0000 a warning\n")
        os.write(2, b"a message\n")
    os.write(2, b"I0000 is no greeting later\n")
    assert capfd.readouterr().err == "W0000 a warning\na message\nI0000 is no greeting later\n"


def test_a_failing_import_gives_stderr_back(capfd):
    with pytest.raises(ImportError, match="broken"), quiet_stderr():
        raise ImportError("broken")
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"


def test_last_words_before_an_abort_are_heard(clone):
    add_stage(clone, "pass", head="import os; os.write(2, b'fatal: why\\n'); os.abort()")
    assert "fatal: why" in run_small(clone, "a", "b", code=-signal.SIGABRT)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((), "expected: python -m stages.run STAGE PATH"), (("nonsense",), "no such stage; dvc.yaml")],
)
def test_a_wrong_call_is_one_line(fresh_project, arguments, message):
    output = fresh_project.run("python", "-m", "stages.run", *arguments, code=1)
    assert message in output
    assert len(output.splitlines()) == 1
