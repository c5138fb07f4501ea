"""Two branches that both trained, merged as docs/team.md says: no lock names mixed results."""

import functools
import http.server
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Project, tiny_images
from faults import outputs

from tools.shared.git import AFTER_MERGE

DOCUMENT = (ROOT / "docs/team.md").read_text(encoding="utf-8")
MERGE = "git checkout --ours dvc.lock reports && dvc repro && git add -A"
Edit = Callable[[Project], object]


def values(**changes: object) -> Edit:
    return lambda project: project.edit({k.replace("__", "."): v for k, v in changes.items()})


def comment(path: str, line: str = "# corrected\n") -> Edit:
    """An edit of code that changes no result at the present values."""

    def edit(project: Project) -> None:
        file = project.folder / path
        file.write_text(file.read_text(encoding="utf-8") + line, encoding="utf-8")

    return edit


def other_title(project: Project) -> None:
    dataset = yaml.safe_load(project.read("data/tiny/dataset.yaml"))
    project.write_dataset("tiny", dataset | {"skip_bad": True, "title": "Bars"})


# One edit a branch. Most change no output of a training, so that the tests train four times.
BRANCHES: dict[str, Edit] = {
    "epochs": values(train__epochs=2),
    "more epochs": values(train__epochs=3),
    "seed": values(seed=1),
    "data": other_title,
    "split": values(preprocess__split="stratified"),
    "code of the split": comment("stages/preprocess/split.py"),
    "other code of the split": comment("stages/preprocess/split.py", "# otherwise\n"),
    "code of the figures": comment("stages/plots/main.py"),
    "resolution": values(plots__resolution=50),
}


@pytest.fixture(scope="module")
def team(finished_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a branch for each edit, its results committed."""
    project = finished_project.copy(tmp_path_factory.mktemp("team") / "clone")
    project.environment = project.environment | {"GIT_EDITOR": "true"}
    for name, edit in BRANCHES.items():
        start(project, "main", name.replace(" ", "-"))
        edit(project)
        project.dvc("repro")
        project.commit(name)
    return project


def start(project: Project, revision: str, name: str) -> None:
    """A branch of that name on the revision, with its outputs."""
    project.git("checkout", "--quiet", "--force", "-B", name, revision)
    project.dvc("checkout", "--force")


@pytest.fixture
def on(team: Project) -> Iterator[Callable[[str], Project]]:
    """The project on a new branch that starts at the one named."""

    def checked_out(name: str) -> Project:
        start(team, name.replace(" ", "-"), "work")
        return team

    yield checked_out
    for command in ("merge", "rebase"):
        team.run("git", command, "--abort", code=None)


def merge(project: Project, name: str) -> str:
    """What Git says of the merge, which has to stop."""
    return project.run("git", "merge", "--no-edit", name.replace(" ", "-"), code=1)


def assert_settled(project: Project) -> None:
    """Nothing is stale; results, dvc.lock and the present values, code and data agree."""
    project.git("commit", "--quiet", "--no-edit")
    assert "up to date" in project.dvc("status")
    assert "All is well" in project.call("tools.verify")
    assert project.git("status", "--porcelain") == ""


PAIRS = [
    ("epochs", "seed"),
    ("data", "epochs"),
    ("code of the split", "split"),
    ("code of the split", "code of the figures"),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_what_git_can_merge_but_for_the_results(
    on: Callable[[str], Project], ours: str, theirs: str
) -> None:
    project = on(ours)
    assert "CONFLICT (content): Merge conflict in dvc.lock" in merge(project, theirs)
    assert "<<<<<<<" not in project.read("dvc.lock")
    assert MERGE in project.call("tools.verify", code=1)
    project.run("bash", "-c", MERGE)
    assert_settled(project)
    if theirs == "split":  # those that lines of both branches would claim were never made
        found = outputs(project)
        project.dvc("repro", "--force", "--no-run-cache", "preprocess")
        assert outputs(project) == found


def test_the_same_value_on_both_sides_is_left_to_a_person(on: Callable[[str], Project]) -> None:
    project = on("epochs")
    assert "Merge conflict in params.yaml" in merge(project, "more epochs")
    assert AFTER_MERGE in project.call("tools.verify", code=1)
    project.git("checkout", "--theirs", "params.yaml")
    project.run("bash", "-c", MERGE)
    assert "epochs: 3" in project.read("params.yaml")
    assert_settled(project)


def test_the_same_code_on_both_sides_is_left_to_a_person(on: Callable[[str], Project]) -> None:
    project = on("code of the split")
    path = "stages/preprocess/split.py"
    assert f"Merge conflict in {path}" in merge(project, "other code of the split")
    assert AFTER_MERGE in project.call("tools.verify", code=1)
    project.git("checkout", "--theirs", path)
    project.run("bash", "-c", MERGE)
    assert_settled(project)


def test_a_rebase_where_ours_and_theirs_are_swapped(on: Callable[[str], Project]) -> None:
    project = on("epochs")
    assert "Merge conflict in dvc.lock" in project.run("git", "rebase", "seed", code=1)
    assert project.read("dvc.lock") == project.git("show", "seed:dvc.lock")
    project.run("bash", "-c", MERGE)
    project.git("rebase", "--continue")
    params = yaml.safe_load(project.read("params.yaml"))
    assert (params["seed"], params["train"]["epochs"]) == (1, 2)
    assert "up to date" in project.dvc("status")
    assert "All is well" in project.call("tools.verify")


def test_a_merge_that_nobody_ran_is_stale_and_says_so(on: Callable[[str], Project]) -> None:
    """It has one side's results, whole, and DVC knows it."""
    project = on("epochs")
    merge(project, "seed")
    project.commit("Merged without a run")
    assert project.read("dvc.lock") == project.git("show", "epochs:dvc.lock")
    assert "train" in project.dvc("status")
    assert "seed: 0 -> 1" in project.call("tools.why")
    assert "older than these edits: seed" in project.call("tools.gate", code=2)


def test_text_merged_by_lines_would_mix_results(on: Callable[[str], Project]) -> None:
    """Why .gitattributes says -merge: without it neither Git nor DVC nor tools.verify objects."""
    project = on("code of the figures")
    (project.folder / ".git/info/attributes").write_text("dvc.lock merge\n", encoding="utf-8")
    project.git("merge", "--no-edit", "resolution")
    (project.folder / ".git/info/attributes").unlink()
    project.dvc("checkout")
    assert "up to date" in project.dvc("status")
    assert "All is well" in project.call("tools.verify")
    sides = [
        project.git("show", f"{side}:dvc.lock") for side in ("code-of-the-figures", "resolution")
    ]
    assert project.read("dvc.lock") not in sides


def test_the_review_refuses_what_a_server_would_merge_by_lines(
    on: Callable[[str], Project],
) -> None:
    project = on("code of the split")
    text = (ROOT / ".github/workflows/review.yml").read_text(encoding="utf-8")
    for part, name in (("base", "split"), ("head", "HEAD")):
        text = text.replace(f"${{{{ github.event.pull_request.{part}.sha }}}}", name)
    steps = {step.get("name"): step for step in yaml.safe_load(text)["jobs"]["report"]["steps"]}
    command = ("bash", "-e", "-c", steps["Results that merge"]["run"])
    assert "Merge the base into this branch" in project.run(*command, code=1)
    assert project.git("status", "--porcelain") == ""
    merge(project, "split")
    project.run("bash", "-c", MERGE)
    project.git("commit", "--quiet", "--no-edit")
    project.run(*command)


# --- Images that two people add -----------------------------------------------------------------


@pytest.fixture
def images(fresh_project: Project, tmp_path: Path) -> Project:
    """A folder tracked by `dvc add` on main, and a branch `theirs` with another image."""
    project = fresh_project.copy(tmp_path / "clone")
    put(project, **{"1": "one", "2": "two"})
    project.commit("Images")
    project.git("checkout", "--quiet", "-b", "theirs")
    put(project, theirs="theirs")
    project.commit("Theirs")
    project.git("checkout", "--quiet", "main")
    project.run("dvc", "checkout", "data/own/images.dvc")
    return project


def put(project: Project, **files: str) -> None:
    folder = project.folder / "data/own/images"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    project.run("dvc", "add", "data/own/images")


def set_driver(project: Project) -> None:
    """As docs/team.md says."""
    (command,) = re.findall(r"git config merge\.dvc\.driver .+", DOCUMENT)
    project.run("bash", "-c", command)


def test_images_of_both_branches_are_kept(images: Project) -> None:
    put(images, ours="ours")
    images.commit("Ours")
    without = images.run("git", "merge", "--no-edit", "theirs", code=1)
    assert "Merge conflict in data/own/images.dvc" in without
    images.git("merge", "--abort")
    set_driver(images)
    images.git("merge", "--no-edit", "theirs")
    images.run("dvc", "checkout", "data/own/images.dvc")
    found = {file.name for file in (images.folder / "data/own/images").iterdir()}
    assert found == {"1", "2", "ours", "theirs"}


def test_an_image_that_both_changed_is_left_to_a_person(images: Project) -> None:
    set_driver(images)
    put(images, theirs="ours, in fact")
    images.commit("Ours")
    said = images.run("git", "merge", "--no-edit", "theirs", code=1)
    assert "unable to auto-merge the following paths" in said
    assert "CONFLICT (content): Merge conflict in data/own/images.dvc" in said
    assert images.git("ls-files", "--unmerged", "data/own/images.dvc")


def test_a_list_that_is_not_here_is_no_silent_merge(images: Project) -> None:
    set_driver(images)
    put(images, ours="ours")
    images.commit("Ours")
    (out,) = yaml.safe_load(images.git("show", "theirs:data/own/images.dvc"))["outs"]
    images.cached(out["md5"]).unlink()
    said = images.run("git", "merge", "--no-edit", "theirs", code=1)
    assert "No such file or directory" in said
    assert images.git("ls-files", "--unmerged", "data/own/images.dvc")


# --- Shared experiments, a public remote, another repository's data ------------------------------


class Server:
    """A folder over HTTP, which takes nothing."""

    def __init__(self, folder: Path) -> None:
        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_words: object) -> None:
                """Say nothing."""

        handler = functools.partial(Quiet, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def shared(project: Project, tmp_path: Path) -> Project:
    """A project with a Git remote `origin` and a DVC remote `store`, both folders, pushed."""
    project.environment = project.environment | {"NO_PROXY": "127.0.0.1"}
    project.git("init", "--quiet", "--bare", "--initial-branch=main", str(tmp_path / "origin"))
    project.git("remote", "add", "origin", str(tmp_path / "origin"))
    project.dvc("remote", "add", "--default", "store", str(tmp_path / "store"))
    project.commit("Add the remote")
    project.git("push", "--quiet", "--set-upstream", "origin", "main")
    project.run("dvc", "push")
    return project


def clone_of(project: Project, tmp_path: Path, name: str) -> Project:
    project.git("clone", "--quiet", str(tmp_path / "origin"), str(tmp_path / name))
    return Project(tmp_path / name, project.environment)


def test_an_experiment_goes_to_a_colleague(shared: Project, tmp_path: Path) -> None:
    shared.run("dvc", "exp", "run", "--name", "finer", "--set-param", "plots.resolution=50")
    shared.run("dvc", "exp", "push", "origin", "finer")
    colleague = clone_of(shared, tmp_path, "colleague")
    assert "finer" in colleague.run("dvc", "exp", "list", "origin")
    colleague.run("dvc", "exp", "pull", "origin", "finer")
    colleague.run("dvc", "exp", "branch", "finer", "finer-figures")
    colleague.git("checkout", "--quiet", "finer-figures")
    colleague.dvc("checkout")
    assert "up to date" in colleague.dvc("status")
    figure = "reports/figures/samples.png"
    assert (colleague.folder / figure).read_bytes() == (shared.folder / figure).read_bytes()
    shared.run("dvc", "exp", "remove", "--git-remote", "origin", "finer")
    assert "finer" not in colleague.run("dvc", "exp", "list", "origin")


@pytest.fixture
def public(shared: Project, tmp_path: Path) -> Iterator[Project]:
    """The same whose default remote is its store over HTTP."""
    server = Server(tmp_path / "store")
    shared.dvc("remote", "add", "--default", "public", server.url)
    shared.dvc("remote", "modify", "public", "verify", "true")
    shared.commit("A public remote")
    shared.git("push", "--quiet")
    yield shared
    server.stop()


def test_a_public_remote_gives_and_takes_nothing(public: Project, tmp_path: Path) -> None:
    stranger = clone_of(public, tmp_path, "stranger")
    assert "files fetched" in stranger.run("dvc", "pull")
    assert "up to date" in stranger.dvc("status")
    assert outputs(stranger) == outputs(public)
    before = sorted((tmp_path / "store").rglob("*"))
    stranger.edit({"plots.resolution": 50})
    stranger.dvc("repro")
    assert "Unsupported method" in stranger.run("dvc", "push", code=1)
    assert sorted((tmp_path / "store").rglob("*")) == before
    stranger.run("dvc", "push", "--remote", "store")
    assert len(sorted((tmp_path / "store").rglob("*"))) > len(before)


def test_images_of_another_repository(
    shared: Project, fresh_project: Project, tmp_path: Path
) -> None:
    images, _ = tiny_images(3, seed=0)
    put(shared, **{f"{number}.txt": str(image.sum()) for number, image in enumerate(images)})
    shared.commit("Images")
    shared.git("push", "--quiet")
    shared.run("dvc", "push")
    other = fresh_project.copy(tmp_path / "other")
    (other.folder / "data/flowers").mkdir()
    folder = "data/flowers/images"
    other.run("dvc", "import", str(tmp_path / "origin"), "data/own/images", "--out", folder)
    assert len(list((other.folder / folder).iterdir())) == 3
    put(shared, new="new")
    shared.commit("One more")
    shared.git("push", "--quiet")
    shared.run("dvc", "push")
    other.run("dvc", "update", f"{folder}.dvc")
    assert (other.folder / folder / "new").exists()
