"""A hostile home and environment: the stages compute in a state that the project sets."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import FINISHED_CNN, ROOT, Project

HOSTILE = {
    "KERAS_MAX_EPOCHS": "1",
    "KERAS_MAX_STEPS_PER_EPOCH": "2",
    "KERAS_BACKEND": "torch",
    "TF_DETERMINISTIC_OPS": "1",
    "TF_USE_LEGACY_KERAS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2",
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
    "OMP_NUM_THREADS": "1",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYTHONHASHSEED": "7",
}
MATPLOTLIBRC = """\
text.usetex: True
savefig.bbox: tight
font.family: serif
axes.titlesize: 40
figure.facecolor: red
"""


def make_hostile(project: Project, home: Path) -> None:
    """Give the project a home with settings of its own, and such an environment."""
    (home / ".keras").mkdir(parents=True)
    keras = {"floatx": "float64", "image_data_format": "channels_first", "epsilon": 0.5}
    (home / ".keras/keras.json").write_text(json.dumps(keras), encoding="utf-8")
    (home / ".config/matplotlib").mkdir(parents=True)
    for folder in (home / ".config/matplotlib", project.folder):
        (folder / "matplotlibrc").write_text(MATPLOTLIBRC, encoding="utf-8")
    kept = {name: v for name, v in project.environment.items() if name != "MPLCONFIGDIR"}
    project.environment = kept | HOSTILE | {"HOME": str(home), "MATPLOTLIBRC": str(home)}


@pytest.mark.parametrize("network", ["mlp", "cnn"])
def test_a_hostile_home_and_environment_change_no_byte(
    fresh_project: Project, request: pytest.FixtureRequest, tmp_path: Path, network: str
) -> None:
    """Of the other network without the figures: it does not reach them."""
    values, fixture, target = {
        "mlp": ({}, "finished_project", "plots"),
        "cnn": (FINISHED_CNN, "finished_cnn", "evaluate"),
    }[network]
    peaceful: Project = request.getfixturevalue(fixture)
    project = fresh_project.copy(tmp_path / "hostile")
    project.edit(values)
    make_hostile(project, tmp_path / "home")
    project.dvc("repro", target)
    locked = yaml.safe_load(project.read("dvc.lock"))["stages"]
    expected = yaml.safe_load(peaceful.read("dvc.lock"))["stages"]
    assert locked == {stage: expected[stage] for stage in locked}
    assert target in locked


@pytest.mark.parametrize(
    "content", ['{"floatx": "float8"}', '{"epsilon": "small"}', "[]", "{", '{"backend": 5}']
)
def test_a_keras_json_that_keras_refuses_is_not_read(
    finished_project: Project, tmp_path: Path, content: str
) -> None:
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras/keras.json").write_text(content, encoding="utf-8")
    code = "from stages.run.importing import import_stage; import_stage('train')"
    project = Project(
        finished_project.folder, finished_project.environment | {"HOME": str(tmp_path)}
    )
    project.run("python", "-c", code)


@pytest.mark.parametrize("tool", ["compare", "report"])
def test_a_hostile_environment_does_not_reach_the_figure_of_compare(
    edited_project: Project, tmp_path: Path, tool: str
) -> None:
    command = {
        "compare": ("python", "-m", "tools.compare", "--figure", "out/changes.png"),
        "report": ("python", "-m", "tools.report", "--folder", "out"),
    }[tool]
    edited_project.run(*command)
    figure = edited_project.folder / "out/changes.png"
    peaceful = figure.read_bytes()
    figure.unlink()
    make_hostile(edited_project, tmp_path / "home")
    edited_project.run(*command)
    assert figure.read_bytes() == peaceful


TRAIN = """
import hashlib, sys
from pathlib import Path
from stages.run.importing import prepare_environment
prepare_environment("train")
import numpy as np
from stages.run.params import read_sections
from stages.train.architectures import network_maker
from stages.train.fitting import Method, fit_network
from stages.train.threads import use_threads
threads, scratch = sys.argv[1:]
model, train = (read_sections()[name] for name in ("model", "train"))
use_threads(int(threads))
train.epochs = 1
random = np.random.default_rng(0)
part = random.integers(0, 256, (384, 28, 28), np.uint8), np.arange(384, dtype=np.uint8) % 10
for network in ("mlp", "cnn"):
    model.name = network
    method = Method(network_maker(model, part, part), train)
    trained, _ = fit_network(method, [part], None, 0, Path(scratch) / network)
    md5 = hashlib.md5(b"".join(w.tobytes() for w in trained.get_weights())).hexdigest()
    print("trained", network, md5)
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux pins a process")
def test_the_number_of_threads_decides_and_not_that_of_cores(tmp_path: Path) -> None:
    def train(threads: int, cores: set[int]) -> dict[str, str]:
        """The hash of the weights of each network."""
        scratch = tmp_path / f"{threads} {len(cores)}"
        done = subprocess.run(
            [sys.executable, "-c", TRAIN, str(threads), str(scratch)],
            cwd=ROOT, capture_output=True, text=True, check=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),  # no threads here
        )  # fmt: skip
        lines = [line.split() for line in done.stdout.splitlines()]
        return {words[1]: words[2] for words in lines if words and words[0] == "trained"}

    every = os.sched_getaffinity(0)
    one = {min(every)}
    two = set(sorted(every)[:2])
    of_two = train(2, two)
    assert of_two.keys() == {"mlp", "cnn"}
    assert train(2, one) == of_two
    assert train(1, two)["cnn"] != of_two["cnn"]  # so the test could tell
