"""Ctrl-C ends every command with one line at most, no traceback, and the exit code of a shell."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from test_dataset import pictures, write_files

# A command in a process of its own. Ctrl-C comes when it reads its arguments or seeks a file.
RUN = """
import os, pathlib, runpy, signal, sys, time

def interrupt(*_words, **_options):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)

module = sys.argv[1]
__import__(module.partition(".")[0])
import tools.shared.command_line
tools.shared.command_line.make_parser = interrupt
if module == "tools.plots_bundle":
    pathlib.Path.exists = interrupt
sys.argv = [module]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""

# It is as slow as a large data set.
COPY = """
import runpy, shutil, sys, time
copyfile = shutil.copyfile
shutil.copyfile = lambda *names: (copyfile(*names), time.sleep(0.2))
runpy.run_module("tools.dataset", run_name="__main__", alter_sys=True)
"""


def commands() -> list[str]:
    """Every module with a main that `python -m` runs, the stages' own but for."""
    found = []
    for package in ("tools", "serving", "sweeps", "benchmarks"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8"):
                name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
                found.append(name.removesuffix(".__main__"))
    no_commands = ("serving.exported.", "benchmarks.speed.", "benchmarks.recipes.", *PEERS)
    return [name for name in found if not name.startswith(no_commands)]


PEERS = ("benchmarks.peers.", "benchmarks.serving.peers.")


def test_every_command_is_among_them() -> None:
    assert {"tools.dataset", "tools.plots_bundle", "serving", "sweeps", "benchmarks.speed",
            "benchmarks.serving.endurance"} <= set(commands())  # fmt: skip


@pytest.mark.parametrize("module", commands())
def test_ctrl_c_is_no_traceback(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, module],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("", "interrupted\n")
    assert done.returncode == 130


def test_ctrl_c_while_a_data_set_is_copied_leaves_none(tmp_path: Path) -> None:
    source = write_files(tmp_path / "pictures", pictures(20))
    (tmp_path / "data").mkdir()
    (tmp_path / "params.yaml").touch()
    with subprocess.Popen(
        [sys.executable, "-c", COPY, "mine", str(source)],
        cwd=tmp_path, env={"PATH": "", "PYTHONPATH": str(ROOT)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as process:  # fmt: skip
        while not list(tmp_path.glob("data/mine.part/images/*/*.png")):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == "interrupted\n"
    assert list((tmp_path / "data").iterdir()) == []
    assert len(list(source.rglob("*.png"))) == 60
