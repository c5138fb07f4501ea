"""A team's remote, docs/team.md: what it promises, with an S3 and an SSH server."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT, Project
from faults import outputs, started
from servers import OBJECTS, S3Server, Server, SshServer, sshd
from test_faults_data import flip_a_bit

DOCUMENT = (ROOT / "docs/team.md").read_text(encoding="utf-8")
REFUSED = {S3Server: "Forbidden: An error occurred (403)", SshServer: "Permission denied for user"}
CUT = {S3Server: "Could not connect to the endpoint URL", SshServer: "Connection not open"}
MODEL = "models/model.keras"
REFUSED_OBJECT = f"Checkout failed for following targets:\n{MODEL}"
TOOL = ("python", "-m", "tools.remote")


@pytest.fixture(scope="module", params=[S3Server, SshServer])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    running = request.param(tmp_path_factory.mktemp("server"))
    yield running
    running.stop()


def member(project: Project, folder: Path) -> Project:
    """The project as a member of the team has it, whose environment says nothing of servers."""
    copy = project.copy(folder)
    copy.environment = {
        name: value
        for name, value in copy.environment.items()
        if not name.startswith(("AWS", "BOTO", "SSH"))
    } | {"NO_PROXY": "127.0.0.1", "AWS_MAX_ATTEMPTS": "1"}  # of 5, which take 6 s an object
    return copy


def add_remote(project: Project, server: Server) -> None:
    project.dvc("remote", "add", "--default", "store", server.url)
    project.dvc("remote", "modify", "store", "verify", "true")
    for name, value in server.shared.items():
        project.dvc("remote", "modify", "store", name, value)
    log_in(project, server.own)
    project.git("commit", "--quiet", "--message", "Add the remote", ".dvc/config")


def log_in(project: Project, options: dict[str, str]) -> None:
    for name, value in options.items():
        project.dvc("remote", "modify", "--local", "store", name, value)


def clone(project: Project, folder: Path) -> Project:
    """A fresh clone with an empty cache, its owner's secrets in .dvc/config.local."""
    project.git("clone", "--quiet", str(project.folder), str(folder))
    shutil.copy(project.folder / ".dvc/config.local", folder / ".dvc/config.local")
    return Project(folder, project.environment)


class Cut(NamedTuple):
    """A push whose server was killed: what dvc said, the objects that it then had."""

    project: Project
    code: int
    output: str
    arrived: set[str]


@pytest.fixture(scope="module")
def cut(server: Server, finished_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Cut:
    project = member(finished_project, tmp_path_factory.mktemp("team") / "clone")
    add_remote(project, server)
    arrived: set[str] = set()
    with started(project, "dvc", "push", "--run-cache") as push:
        push.until(lambda: arrived.update(server.objects()) or arrived)
        os.killpg(push.process.pid, signal.SIGSTOP)  # else all may have arrived too soon
        server.kill()
        os.killpg(push.process.pid, signal.SIGCONT)
        output = push.ended()
    server.start()
    assert arrived <= server.objects()  # it has a disk
    return Cut(project, push.process.returncode, output, server.objects())


@pytest.fixture(scope="module")
def pushed(cut: Cut) -> Project:
    """A member's project after its second push. Change nothing in it."""
    cut.project.dvc("push", "--run-cache")
    return cut.project


def test_after_a_cut_push_a_second_completes_it(server: Server, cut: Cut, pushed: Project) -> None:
    assert cut.code > 0
    assert CUT[type(server)] in cut.output
    assert CUT[type(server)] in DOCUMENT
    assert cut.arrived < server.objects()
    assert outputs(pushed)


def test_a_fresh_clone_pulls_and_runs_nothing(pushed: Project, tmp_path: Path) -> None:
    fresh = clone(pushed, tmp_path / "clone")
    assert outputs(fresh) != outputs(pushed)
    fresh.dvc("pull", "--run-cache")
    output = fresh.dvc("repro")
    assert "Data and pipelines are up to date" in output
    assert "Running" not in output
    assert outputs(fresh) == outputs(pushed)
    assert fresh.git("status", "--porcelain") == ""
    assert set(runs(fresh)) == set(runs(pushed))


def runs(project: Project) -> list[str]:
    """What DVC's run cache has, by the runs' names."""
    return [path.name for path in project.folder.glob(".dvc/cache/runs/*/*/*")]


def test_no_secret_is_committed(pushed: Project, server: Server) -> None:
    committed = pushed.git("log", "--patch", "--all")
    assert server.url in committed
    for name in server.own.keys() - {"user"}:
        assert server.own[name] in pushed.read(".dvc/config.local")
        assert server.own[name] not in committed


def test_wrong_credentials(server: Server, pushed: Project, tmp_path: Path) -> None:
    seen = REFUSED[type(server)]
    assert seen in DOCUMENT
    before = server.objects()
    project = pushed.copy(tmp_path / "pushing")
    log_in(project, server.wrong)
    assert seen in project.dvc("push", "--run-cache", code=255)
    refused = project.run(*TOOL, code=1)
    assert refused.startswith("remote: ")
    assert "Traceback" not in refused
    assert server.objects() == before
    assert outputs(project) == outputs(pushed)

    fresh = clone(project, tmp_path / "pulling")
    assert seen in fresh.dvc("pull", code=1)
    assert fresh.git("status", "--porcelain") == ""
    log_in(fresh, server.own)
    fresh.dvc("pull")
    assert outputs(fresh) == outputs(pushed)


@pytest.fixture
def flipped(server: Server, pushed: Project) -> Iterator[str]:
    """The MD5 of the model, of which a bit is flipped on the remote; whole again afterwards."""
    md5 = pushed.md5_of(MODEL)
    whole = server.read(md5)
    middle = len(whole) // 2
    server.write(md5, whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    yield md5
    server.write(md5, whole)


@pytest.mark.usefixtures("flipped")
def test_a_pull_refuses_a_flipped_bit(pushed: Project, tmp_path: Path) -> None:
    fresh = clone(pushed, tmp_path / "fresh")
    assert REFUSED_OBJECT in fresh.dvc("pull", code=1)
    assert REFUSED_OBJECT in DOCUMENT.replace("\n    ", "\n")
    pulled = outputs(fresh)
    assert pulled == {path: outputs(pushed)[path] for path in outputs(pushed).keys() - {MODEL}}

    working = pushed.copy(tmp_path / "working")
    shutil.rmtree(working.folder / ".dvc/cache")
    working.dvc("pull")
    assert outputs(working) == outputs(pushed)
    assert f"{MODEL}: not in the cache" in working.call("tools.verify", code=1)


def test_a_damaged_remote_is_mended(
    server: Server, pushed: Project, flipped: str, tmp_path: Path
) -> None:
    folder = pushed.md5_of("data/raw")
    missing = json.loads(server.read(folder))[0]
    server.remove(missing["md5"])
    assert "Everything is up to date" in pushed.dvc("push")
    damage = [
        f"data/raw/{missing['relpath']}: missing on the remote ({missing['md5']})",
        f"{MODEL}: damaged on the remote ({flipped})",
    ]
    fresh = clone(pushed, tmp_path / "fresh")
    not_here = fresh.run(*TOOL, "--mend", code=1)
    assert not_here.splitlines()[:2] == damage
    assert "2 not mended" in not_here
    mended = pushed.run(*TOOL, "--mend").splitlines()
    assert mended[:2] == [f"{line}: sent again" for line in damage]
    assert "All is well" in pushed.run(*TOOL)
    assert server.read(flipped) == (pushed.folder / MODEL).read_bytes()


def test_a_refused_pull_and_the_version_before(finished_project: Project, tmp_path: Path) -> None:
    """DVC takes an older file away before it knows that the other cannot be had."""
    project = member(finished_project, tmp_path / "clone")
    store = tmp_path / "a folder"
    project.dvc("remote", "add", "--default", "store", str(store))
    project.dvc("remote", "modify", "store", "verify", "true")
    project.commit("Add the remote")
    project.dvc("push", "--run-cache")
    md5 = project.md5_of("models/layers.txt")
    flip_a_bit(store / OBJECTS / md5[:2] / md5[2:])
    project.cached(md5).unlink()

    (project.folder / "models/layers.txt").write_text("Another network\n", encoding="utf-8")
    project.dvc("commit", "--force", "train")
    project.commit("Another version")
    before = outputs(project)
    project.git("checkout", "--quiet", "HEAD~1")
    assert "targets:\nmodels/layers.txt" in project.dvc("pull", code=1)
    assert outputs(project).keys() == before.keys() - {"models/layers.txt"}
    project.git("checkout", "--quiet", "main")
    project.dvc("checkout")
    assert outputs(project) == before


def test_without_sshd_ci_fails_and_a_user_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servers.shutil.which", lambda *_words, **_options: None)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install openssh-server"):
        sshd()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="apt-get install openssh-server"):
        sshd()
