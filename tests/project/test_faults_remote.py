"""A push or pull that ends while DVC lists what there is to transfer, and what mends it."""

import json
import shutil
import signal
import sys
from pathlib import Path

import pytest
import yaml
from conftest import FINISHED_EDIT, Project
from faults import outputs

TOOL = ("python", "-m", "tools.remote")

# dvc, ended by a signal before it lists its next output: argv has signal, outputs listed, command
ENDS_WHILE_LISTING = """
import os, sys
from dvc.cli import main
from dvc_data.index import collect

end_by, left = int(sys.argv[1]), int(sys.argv[2])
list_output = collect._collect_from_index

def list_output_or_end(*arguments, **options):
    global left
    if left == 0:
        os.kill(os.getpid(), end_by)
    left -= 1
    return list_output(*arguments, **options)

collect._collect_from_index = list_output_or_end
sys.exit(main(sys.argv[3:]))
"""


def end_while_listing(project: Project, end_by: signal.Signals, listed: int, *command: str) -> None:
    words = [str(end_by.value), str(listed), *command]
    project.run(sys.executable, "-c", ENDS_WHILE_LISTING, *words, code=None)


def stored(folder: Path) -> set[str]:
    return {path.parent.name + path.name for path in folder.glob("files/md5/*/*")}


def to_push(project: Project) -> set[str]:
    """The objects that dvc.lock names, files of folders as well, without what Git keeps."""
    stages = yaml.safe_load(project.read("dvc.lock"))["stages"].values()
    outs = [out for stage in stages for out in stage["outs"]]
    objects = {out["md5"] for out in outs if not out["path"].endswith((".json", ".csv"))}
    for md5 in [md5 for md5 in objects if md5.endswith(".dir")]:
        objects |= set(files_of_folder(project.folder / ".dvc/cache", md5))
    return objects


def files_of_folder(store: Path, md5: str) -> list[str]:
    listing = (store / "files/md5" / md5[:2] / md5[2:]).read_text(encoding="utf-8")
    return [entry["md5"] for entry in json.loads(listing)]


@pytest.fixture
def shared(edited_project: Project, tmp_path: Path) -> tuple[Project, Path]:
    """A finished project with a folder as its remote, and with an index of its own.

    Its run cache has the results of FINISHED_EDIT, too.
    """
    project = edited_project
    project.git("checkout", "--quiet", "--", ".")
    project.dvc("checkout")
    project.environment = project.environment | {"DVC_SITE_CACHE_DIR": str(tmp_path / "site")}
    store = tmp_path / "store"
    project.dvc("remote", "add", "--default", "store", str(store))
    project.commit("Add the remote")
    return project, store


@pytest.mark.fault(
    heading="DVC's own files",
    done="`kill -9` of a `dvc push` while it collects, then `python -m tools.remote --push`",
    seen="All is well: the remote has every object of dvc.lock.",
)
@pytest.mark.parametrize(("end_by", "listed"), [(signal.SIGKILL, 9)])
def test_a_push_killed_while_it_lists(
    shared: tuple[Project, Path], end_by: signal.Signals, listed: int, seen: str
) -> None:
    """DVC's next push reports success without most of the objects; ours sends them all."""
    project, store = shared
    end_while_listing(project, end_by, listed, "push")
    project.dvc("push")  # DVC's fault, which docs/team.md warns of: says nothing
    assert stored(store) < to_push(project)
    assert seen in project.run(*TOOL, "--push")
    assert stored(store) >= to_push(project)


@pytest.mark.parametrize(
    ("end_by", "listed"), [(signal.SIGINT, 1), (signal.SIGTERM, 5), (signal.SIGKILL, 12)]
)
def test_a_push_ended_while_it_lists_what_the_remote_has(
    shared: tuple[Project, Path], end_by: signal.Signals, listed: int
) -> None:
    """Then DVC alone would never notice: each push says that everything is up to date."""
    project, store = shared
    project.dvc("push")
    project.edit(FINISHED_EDIT)
    project.dvc("repro")
    end_while_listing(project, end_by, listed, "push")
    for _ in range(2):
        project.dvc("push")
    before = stored(store)
    assert "All is well" in project.run(*TOOL, "--push")
    assert stored(store) >= to_push(project)
    if listed < 9:  # data/raw and the six arrays are the same as before
        assert not before >= to_push(project)


@pytest.mark.parametrize(
    ("end_by", "listed"), [(signal.SIGINT, 1), (signal.SIGTERM, 5), (signal.SIGKILL, 9)]
)
def test_a_pull_ended_while_it_lists(
    shared: tuple[Project, Path], end_by: signal.Signals, listed: int, tmp_path: Path
) -> None:
    project, _ = shared
    project.run(*TOOL, "--push")
    project.git("clone", "--quiet", str(project.folder), str(tmp_path / "clone"))
    fresh = Project(tmp_path / "clone", project.environment)
    end_while_listing(fresh, end_by, listed, "pull")
    assert "Checkout failed" in fresh.dvc("pull", code=1)
    fresh.run(*TOOL, "--pull")
    assert outputs(fresh) == outputs(project)
    assert "Data and pipelines are up to date" in fresh.dvc("repro")


def test_a_check_forgets_a_broken_index_as_well(shared: tuple[Project, Path]) -> None:
    project, store = shared
    end_while_listing(project, signal.SIGKILL, 3, "push")
    assert "missing on the remote" in project.run(*TOOL, code=1)
    project.dvc("push")
    assert stored(store) >= to_push(project)


def test_a_folders_file_that_the_remote_lost_is_sent_by_a_push(
    shared: tuple[Project, Path],
) -> None:
    """DVC takes a folder's list for its files."""
    project, store = shared
    project.dvc("push")
    folder = next(md5 for md5 in to_push(project) if md5.endswith(".dir"))
    md5 = files_of_folder(store, folder)[0]
    (store / "files/md5" / md5[:2] / md5[2:]).unlink()
    shutil.rmtree(project.environment["DVC_SITE_CACHE_DIR"])
    assert f"missing on the remote ({md5}): sent again" in project.run(*TOOL, "--push")
    assert stored(store) >= to_push(project)


def test_what_stops_dvc_stops_the_tool_with_its_words(project: Project, tmp_path: Path) -> None:
    assert "remote: config file error: no remote specified" in project.run(*TOOL, code=1)
    pushed = project.run(*TOOL, "--push", code=None)
    assert "no remote" in pushed
    assert "Traceback" not in pushed
    (tmp_path / "sitecustomize.py").write_text(
        "import pwd\ndef getpwuid(uid): raise KeyError(f'getpwuid(): uid not found: {uid}')\n"
        "pwd.getpwuid = getpwuid\n", encoding="utf-8",
    )  # fmt: skip
    nameless = project.environment | {"PYTHONPATH": str(tmp_path)}
    for name in ("USER", "LOGNAME", "LNAME", "USERNAME"):
        nameless.pop(name, None)
    project.environment = nameless
    assert "getpwuid(): uid not found" in project.run("dvc", "status", code=255)
    assert "set USER to any name, and HOME" in project.run(*TOOL, code=1)
    project.environment = nameless | {"USER": "somebody"}
    assert "Data and pipelines are up to date" in project.dvc("status")
