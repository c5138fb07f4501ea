"""A tiny data set, and the project itself in a temporary folder to run it in."""

import compileall
import contextlib
import fcntl
import gzip
import hashlib
import importlib.util
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import yaml
from in_process import Place, dvc_main, main_of
from pydantic import BaseModel

from stages.run.keys import as_attributes
from stages.run.params import Augmentation, Model, Train
from stages.shared.errors import UserError
from sweeps.ray_settings import set_ray_settings

ROOT = Path(__file__).parent.parent

set_ray_settings(os.environ)  # before any test imports Ray
# Their tests train networks for seconds.
TRAININGS = {"test_checkpoints.py", "test_fitting.py", "test_saving.py", "test_train.py"}

# A shell that starts the tests in the background ignores Ctrl-C for them and all they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
CLASSES = ["left", "middle", "right"]
SHAPE = (12, 10)  # height and width: not square, so that no stage can mix them up

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None and "CI" not in os.environ,
    reason="Ray is not installed: `make sweeps`",
)

# The recipe that names every value; unlike params.yaml, which users edit, it stays.
ARTICLE = yaml.safe_load((ROOT / "recipes.yaml").read_text(encoding="utf-8"))["article"]
NETWORKS = [name for name in ARTICLE["model"] if name != "name"]

NO_AUGMENTATION = {
    "rotation": 0, "translation": 0, "zoom": 0.0, "shear": 0.0, "elastic": 0.0, "flip": False,
}  # fmt: skip


def make_section(kind: type[BaseModel], **values: object) -> Any:
    """A section as a stage gets it: checked, then plain attributes."""
    return as_attributes(kind(**values).model_dump())


def augmentation(**options: object) -> Any:
    return make_section(Augmentation, **(NO_AUGMENTATION | options))


def training(**options: Any) -> Any:
    """The section train of the article's recipe, but short; with these options."""
    short = {"epochs": 3, "batch_size": 16, "learning_rate": 0.01}
    drawn = {"augmentation": NO_AUGMENTATION | options.get("augmentation", {})}
    return make_section(Train, **(ARTICLE["train"] | short | options | drawn))


def shrink(value: Any) -> Any:
    """Two values of a list, at most; a few units or filters for many."""
    if isinstance(value, list):
        return [shrink(each) for each in value[:2]]
    return max(value // 64, 4) if isinstance(value, int) and value > 8 else value


SMALLEST = {"mlp": {}, "cnn": {"filters": [4, 8], "strides": [1, 2]}, "pretrained": {"side": 40}}


def tiny_block(name: str, **changes: object) -> dict[str, object]:
    """The network's block of the article's recipe with two small layers; with these changes."""
    block = {key: shrink(value) for key, value in ARTICLE["model"][name].items()}
    return block | SMALLEST[name] | changes


def normalization(name: str, on: bool = True) -> dict[str, object]:
    """The change that turns batch normalisation on or off, in networks that know it."""
    return {key: on for key in ARTICLE["model"][name] if key == "batch_normalization"}


def tiny_model(name: str, **changes: object) -> Any:
    """The section model with small networks; `changes` are those of the chosen one's block."""
    blocks = {each: tiny_block(each) for each in NETWORKS} | {name: tiny_block(name, **changes)}
    return make_section(Model, name=name, **blocks)


TINY_PARAMS = {
    "dataset": "tiny",
    "gate.dataset": "tiny",
    "train.epochs": 1,
    "train.batch_size": 16,
    "plots.resolution": 40,
    **{f"model.{name}": tiny_block(name) for name in NETWORKS},
}


FINISHED_EDIT = {"train.epochs": 4, "train.learning_rate": 0.02}
FINISHED_CNN = {
    "model.name": "cnn",
    "train.epochs": 3,
    "train.augmentation": {
        "rotation": 10, "translation": 1, "zoom": 0.1, "shear": 0.1, "elastic": 0.5, "flip": True,
    },
    "train.label_smoothing": 0.1,
    "train.class_weight": "balanced",
    "train.refit": True,
}  # fmt: skip


def refusal(read: Callable[[Path], object], path: Path) -> str:
    """The message about a stage's output that cannot be read; it says what to do."""
    with pytest.raises(UserError) as caught:
        read(path)
    message = str(caught.value)
    assert str(path) in message
    assert "`dvc repro` makes it again" in message
    return message


def seconds_of_children() -> float:
    """Processor time of all processes that ended which this one or they started.

    How busy the machine is does not matter to it.
    """
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.fixture(scope="session", autouse=True)
def fixed_threads() -> None:
    """As many threads as training asks for: a process can set their number but once."""
    if "tensorflow" in sys.modules:
        threading = sys.modules["tensorflow"].config.threading
        threading.set_intra_op_parallelism_threads(ARTICLE["train"]["threads"])


def tiny_images(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images (count, 12, 10) with a bright bar whose place is the class, and their labels."""
    random = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.uint8) % len(CLASSES)
    images = random.integers(0, 120, (count, *SHAPE), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 1 + 3 * label : 3 + 3 * label] = 200
    return images, labels


def write_parts(folder: Path, **parts: tuple[np.ndarray, np.ndarray]) -> Path:
    """Images and labels as preprocess leaves them in `folder`, by the names of their splits."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, (images, labels) in parts.items():
        np.save(folder / f"x_{split}.npy", images)
        np.save(folder / f"y_{split}.npy", labels)
    return folder


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.tobytes()


def tiny_files() -> dict[str, bytes]:
    """The four IDX files of the tiny data set, by the names of their roles in dataset.yaml."""
    train_images, train_labels = tiny_images(60, seed=1)
    test_images, test_labels = tiny_images(30, seed=2)
    return {
        "train_images": idx(train_images),
        "train_labels": idx(train_labels),
        "test_images": idx(test_images),
        "test_labels": idx(test_labels),
    }


def tiny_dataset(files: dict[str, bytes], sources: list[str]) -> dict[str, object]:
    """The tiny data set's dataset.yaml; a file is named tiny-ROLE."""
    return {
        "title": "Tiny bars",
        "classes": CLASSES,
        "class_axis": "Place",
        "format": {"name": "idx", "first_label": 0},
        "files": {
            role: {
                "name": f"tiny-{role}",
                "size": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
            for role, content in files.items()
        },
        "sources": sources,
        "images": {
            "height": SHAPE[0], "width": SHAPE[1], "colour": "grey", "fit": "pad", "background": 0,
        },
        "splits": {"test_fraction": 0.0, "test_split": "stratified", "group": ""},
        "skip_bad": False,
        "licence": "none",
        "citation": "none",
    }  # fmt: skip


def tiny_corrections() -> str:
    """The tiny data set's corrections.csv, which drops the label of its first test image."""
    images, labels = tiny_images(30, seed=2)
    digest = hashlib.sha256(images[0].tobytes()).hexdigest()
    return f"image,old,new,reason\n{digest},{CLASSES[labels[0]]},,looks like none\n"


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as DATASET_FOLDER may name it: the tiny files, some gzipped, some plain."""
    folder = tmp_path_factory.mktemp("tiny")
    for role, content in tiny_files().items():
        if role.startswith("train"):
            (folder / f"tiny-{role}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / f"tiny-{role}").write_bytes(content)
    return folder


# Those that start no daemon and talk to no server.
DVC_IN_PROCESS = (
    *("checkout", "commit", "config", "dag", "metrics", "params", "plots"),
    *("remote", "repro", "status"),
)


@dataclass
class Project:
    """A clone of this project that runs its commands as a user would, in its own folder."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str, code: int | None = 0, cwd: str = ".", errors: bool = True) -> str:
        """Run a command, check its exit code unless None, return what it printed.

        Without `errors` that is its standard output alone, for what is read as JSON.
        """
        done = subprocess.run(
            command,
            cwd=self.folder / cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        output = done.stdout + done.stderr
        if code is not None:
            assert done.returncode == code, (
                f"{' '.join(command)} ended with {done.returncode}:\n{output}"
            )
        return output if errors else done.stdout

    def call(self, module: str, *words: str, code: int = 0) -> str:
        """`python -m MODULE WORDS` as `run` does it, but in this process, which is quicker."""
        found, output = Place(self.folder, self.environment).run(main_of(module), module, *words)
        assert found == code, f"{module} {' '.join(words)} ended with {found}:\n{output}"
        return output

    def dvc(
        self, *arguments: str, code: int | None = 0, cwd: str = ".", errors: bool = True
    ) -> str:
        """A dvc command, if possible in this process; its stages are processes of their own."""
        if arguments[0] not in DVC_IN_PROCESS:
            return self.run("dvc", *arguments, code=code, cwd=cwd, errors=errors)
        place = Place(self.folder / cwd, self.environment)
        found, output = place.run(dvc_main(arguments), "dvc", *arguments, errors=errors)
        if code is not None:
            assert found == code, f"dvc {' '.join(arguments)} ended with {found}:\n{output}"
        return output

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments)

    def read(self, path: str) -> str:
        return (self.folder / path).read_text(encoding="utf-8")

    def edit(self, values: dict[str, object]) -> None:
        """Set keys of params.yaml such as {"train.epochs": 2}. Comments are lost."""
        path = self.folder / "params.yaml"
        params = yaml.safe_load(path.read_text(encoding="utf-8"))
        for key, value in values.items():
            *parents, last = key.split(".")
            section = params
            for parent in parents:
                section = section[parent]
            section[last] = value
        path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")

    def write_dataset(self, name: str, dataset: dict[str, object]) -> None:
        path = self.folder / "data" / name / "dataset.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(dataset), encoding="utf-8")
        if not (corrections := path.with_name("corrections.csv")).exists():
            corrections.write_text("image,old,new,reason\n", encoding="utf-8")

    def md5_of(self, path: str, commit: str | None = None) -> str:
        """The MD5 that dvc.lock has of an output: the workspace's, or that of a commit."""
        lock = self.git("show", f"{commit}:dvc.lock") if commit else self.read("dvc.lock")
        stages = yaml.safe_load(lock)["stages"].values()
        (md5,) = (out["md5"] for stage in stages for out in stage["outs"] if out["path"] == path)
        return str(md5)

    def cached(self, md5: str) -> Path:
        """Where DVC's cache has the object of that MD5, or would have it."""
        return self.folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def copy(self, folder: Path) -> "Project":
        """The same project elsewhere, cache and outputs included: a test may do what it will."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder, dict(self.environment))


def project_environment(home: Path, data: Path) -> dict[str, str]:
    """An environment in which nothing of this machine's user is read or written."""
    keep = {
        name: value for name, value in os.environ.items() if not name.startswith(("DVC", "GIT"))
    }
    return keep | {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "DVC_SITE_CACHE_DIR": str(home / "site"),
        "DATASET_FOLDER": str(data),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GIT_AUTHOR_NAME": "Test",
        "GIT_AUTHOR_EMAIL": "test@localhost",
        "GIT_COMMITTER_NAME": "Test",
        "GIT_COMMITTER_EMAIL": "test@localhost",
        "MPLCONFIGDIR": str(home / "matplotlib"),
    }


def sources_of_project() -> list[str]:
    """The files that Git has or would take, as they are in the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


@contextlib.contextmanager
def made_once(factory: pytest.TempPathFactory, name: str) -> Iterator[tuple[Path, bool]]:
    """A folder that the workers of pytest-xdist share, and whether it is still to be filled.

    The first worker that needs it fills it; others wait meanwhile.
    """
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder, not folder.exists()
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


@pytest.fixture(scope="session")
def fresh_project(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Project:
    """The project with the tiny data set, committed, nothing run. Its path has a space in it."""
    with made_once(tmp_path_factory, "fresh project") as (base, is_missing):
        project = Project(base / "clone", project_environment(base / "home", tiny_folder))
        if is_missing:
            fill_fresh_project(project)
    return project


def fill_fresh_project(project: Project) -> None:
    folder = project.folder
    for name in sources_of_project():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    swept = ("best.yaml", "values.json", "trials.csv", "made_from.json")
    made = [folder / "dvc.lock", *folder.glob("reports/*.*")]
    for path in [*made, *(folder / "sweeps" / name for name in swept)]:
        path.unlink(missing_ok=True)
    project.write_dataset("tiny", tiny_dataset(tiny_files(), sources=[]))
    corrections = folder / "data/tiny/corrections.csv"
    corrections.write_text(tiny_corrections(), encoding="utf-8")
    project.edit(TINY_PARAMS)
    project.git("init", "--quiet", "--initial-branch=main", "--template=")
    project.commit("The project with a tiny data set")
    project.git("gc", "--quiet")  # a file to copy, instead of one for each object
    for package in ("serving", "stages", "sweeps", "tools"):  # here, not in every copy
        compileall.compile_dir(folder / package, quiet=1)


@pytest.fixture(scope="session")
def finished_project(fresh_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The fresh project after `dvc repro`, its results committed. Copy it before you change it."""
    with made_once(tmp_path_factory, "finished project") as (base, is_missing):
        project = Project(base / "clone", fresh_project.environment)
        if is_missing:
            fresh_project.copy(project.folder)
            project.dvc("repro")
            project.commit("Results")
    return project


@pytest.fixture(scope="session")
def finished_edit(finished_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The finished project with an edit of params.yaml run, not committed. Copy it, too."""
    return edit_once(finished_project, tmp_path_factory, "finished edit", FINISHED_EDIT)


@pytest.fixture(scope="session")
def finished_refit(finished_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same with an edit after which the validation images are trained on, too."""
    return edit_once(finished_project, tmp_path_factory, "finished refit", {"train.refit": True})


@pytest.fixture(scope="session")
def finished_cnn(finished_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same with an edit that trains the other network with every option; without figures."""
    return edit_once(finished_project, tmp_path_factory, "finished cnn", FINISHED_CNN, "evaluate")


def edit_once(
    project: Project,
    factory: pytest.TempPathFactory,
    name: str,
    values: dict[str, object],
    *targets: str,
) -> Project:
    """A copy of a finished project with an edit of params.yaml that has run."""
    with made_once(factory, name) as (base, is_missing):
        edited = Project(base / "clone", project.environment)
        if is_missing:
            project.copy(edited.folder)
            edited.edit(values)
            edited.dvc("repro", *targets)
    return edited


@pytest.fixture
def edited_project(finished_edit: Project, tmp_path: Path) -> Project:
    """An edited project of one's own: the edit's results in the workspace, the others in HEAD."""
    return finished_edit.copy(tmp_path / "an edited clone")


@pytest.fixture
def refitted_project(finished_refit: Project, tmp_path: Path) -> Project:
    """The same of the edit after which the validation images are trained on, too."""
    return finished_refit.copy(tmp_path / "a refitted clone")


@pytest.fixture
def project(finished_project: Project, tmp_path: Path) -> Project:
    """A finished project of one's own."""
    return finished_project.copy(tmp_path / "a clone")


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> str:
    """What the test's row in docs/reliability.md says that the user sees."""
    text: str = request.node.get_closest_marker("fault").kwargs["seen"]
    return text


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test that runs a whole project or lies in tests/project; their files come first.

    So short tests are left for the end, when one worker has nothing else to do.
    """
    slow = set()
    for item in items:
        runs_project = "fresh_project" in getattr(item, "fixturenames", ())
        if runs_project or ROOT / "tests/project" in item.path.parents:
            item.add_marker("project")
            slow.add(item.path)
        if item.path.name in TRAININGS:
            item.add_marker("slow")
    items.sort(key=lambda item: item.path not in slow)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are cores, as whole projects wait for what they have started."""
    cores = psutil.cpu_count(logical=False) or 1
    return cores if "not project" in config.option.markexpr else cores + 1
