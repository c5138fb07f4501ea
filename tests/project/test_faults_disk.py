"""Full and read-only disks, DVC's own files damaged, another Python."""

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from conftest import Project
from faults import assert_nothing_lost
from test_faults_data import flip_a_bit

disk = partial(pytest.mark.fault, heading="Disk")
own = partial(pytest.mark.fault, heading="DVC's own files")
runs = partial(pytest.mark.fault, heading="Runs")

NAMESPACE = ("unshare", "--map-root-user", "--mount", "sh", "-euc")


@pytest.fixture
def mounts_allowed(tmp_path: Path) -> None:
    """A mount namespace of one's own, which some machines refuse to users, and all but Linux."""
    script = f"mount -t tmpfs tmpfs '{tmp_path}'"
    try:
        subprocess.run([*NAMESPACE, script], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        ours = os.environ.get("CI") == "true" and sys.platform == "linux"  # CI allows it there
        refuse = pytest.fail if ours else pytest.skip
        refuse(f"needs `unshare --map-root-user --mount`: {error}")


def with_mounts(project: Project, script: str) -> str:
    """What a shell script prints; what it mounts is gone when it ends."""
    return project.run(*NAMESPACE, script)


# A shell function that must fail, so that no script goes on as if it had.
REFUSED = 'refused() { if "$@"; then echo "ended well: $*"; exit 99; fi; }\n'


@disk(
    done="The disk is full where a stage writes",
    seen="bytes are needed there, and 8,192 are free. Make room",
)
@pytest.mark.usefixtures("mounts_allowed")
def test_a_full_workspace(
    project: Project, finished_project: Project, tmp_path: Path, seen: str
) -> None:
    script = f"""{REFUSED}
    mount -t tmpfs -o size=8k tmpfs data/processed
    refused dvc repro --force preprocess
    mount -o remount,size=1m data/processed
    dvc repro
    cp -r data/processed ../healed
    """
    output = with_mounts(project, script)
    assert seen in output
    assert "Traceback" not in output
    for path in (tmp_path / "healed").iterdir():
        before = finished_project.folder / "data/processed" / path.name
        assert path.read_bytes() == before.read_bytes()
    assert_nothing_lost(project, finished_project)


@disk(
    done="The disk of DVC's cache is full",
    seen="failed to reproduce 'preprocess': [Errno 28] No space left on device",
)
@pytest.mark.usefixtures("mounts_allowed")
def test_a_full_cache(project: Project, finished_project: Project, seen: str) -> None:
    project.edit({"preprocess.validation_fraction": 0.3})
    script = f"""{REFUSED}
    cp -a .dvc/cache ../kept
    mount -t tmpfs -o size=16m tmpfs .dvc/cache
    cp -a ../kept/. .dvc/cache
    refused cat /dev/zero > .dvc/cache/filler
    refused dvc repro preprocess
    rm .dvc/cache/filler
    dvc repro preprocess
    git checkout --quiet -- params.yaml
    dvc repro
    """
    assert seen in with_mounts(project, script)
    assert_nothing_lost(project, finished_project)


@disk(done="The workspace is read-only", seen="Read-only file system")
@pytest.mark.usefixtures("mounts_allowed")
def test_a_read_only_workspace(project: Project, finished_project: Project, seen: str) -> None:
    script = f"""{REFUSED}
    mount --bind . .
    mount -o remount,ro,bind .
    cd "$PWD"
    refused dvc repro --force preprocess
    """
    output = with_mounts(project, script)
    assert seen in output
    assert "Traceback" not in output
    assert_nothing_lost(project, finished_project)


# DVC's own files


def verify(project: Project, code: int = 1) -> str:
    return project.call("tools.verify", code=code)


def healing(output: str, first: str) -> str:
    """The command between backquotes that the output says, the one that starts so."""
    return next(text for text in re.findall("`(.+?)`", output) if text.startswith(first))


@own(
    done="An empty `.dvc/tmp/rwlock`, as a crash may leave it",
    seen="Unable to read RWLock-file '.dvc/tmp/rwlock'",
)
def test_an_empty_rwlock(project: Project, finished_project: Project, seen: str) -> None:
    (project.folder / ".dvc/tmp/rwlock").write_bytes(b"")
    assert seen in project.dvc("repro", code=255)
    project.run("sh", "-c", healing(verify(project), "rm "))
    assert_nothing_lost(project, finished_project)


@own(
    done="`dvc.lock` cut between two stages, then `dvc repro`",
    seen="Stage 'train' is cached - skipping run, checking out outputs",
)
def test_a_truncated_lock(project: Project, finished_project: Project, seen: str) -> None:
    start, _, _ = project.read("dvc.lock").partition("  preprocess:\n")
    (project.folder / "dvc.lock").write_text(start, encoding="utf-8")
    assert "dvc.lock" in verify(project)
    assert seen in project.dvc("repro")
    assert_nothing_lost(project, finished_project)


@own(
    done="`dvc.lock` cut within a value, then `dvc repro`",
    seen="'./dvc.lock' validation failed",
)
def test_a_lock_cut_within_a_value(project: Project, finished_project: Project, seen: str) -> None:
    start, key, _ = project.read("dvc.lock").partition("md5: ")
    (project.folder / "dvc.lock").write_text(f"{start}{key}1", encoding="utf-8")
    assert seen in project.dvc("repro", code=255)
    project.run("sh", "-c", healing(verify(project), "git checkout"))
    assert_nothing_lost(project, finished_project)


@own(
    done="A bit flipped in the cache, then `python -m tools.verify`",
    seen="data/processed/x_test.npy: its copy in the cache is damaged",
)
def test_a_damaged_cache(project: Project, finished_project: Project, seen: str) -> None:
    path = project.cached(project.md5_of("data/processed/x_test.npy"))
    path.chmod(0o644)
    flip_a_bit(path)
    path.chmod(0o444)
    output = verify(project)
    assert seen in output
    project.run("sh", "-c", healing(output, "rm "))
    project.run("sh", "-c", healing(output, "dvc repro"))
    assert "All is well" in verify(project, code=0)
    assert_nothing_lost(project, finished_project)


@runs(
    done="A Python without the packages is first in the PATH",
    seen="Expected the project's own: run `make` once, then `source .venv/bin/activate`.",
)
def test_a_python_without_the_packages(
    project: Project, finished_project: Project, tmp_path: Path, seen: str
) -> None:
    command = [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")]
    subprocess.run(command, check=True)
    dvc = Path(sys.executable).parent / "dvc"
    path = f"PATH={tmp_path / 'bare/bin'}:{project.environment['PATH']}"
    output = project.run("env", path, str(dvc), "repro", "--force", "fetch", code=255)
    assert seen in output
    assert "Traceback" not in output
    assert_nothing_lost(project, finished_project)
