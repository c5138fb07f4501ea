"""Git's own words reach the user, and what to do where Git names no remedy."""

import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, Project

from stages.shared.errors import UserError
from tools.shared.git import how_to_restore, read_content, resolve_revision

COMPARE = ("python", "-m", "tools.compare")


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=Test", "-c", "user.email=test@localhost")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main", "--template=")
    monkeypatch.chdir(folder)
    return folder


def commit_file(folder: Path, name: str, content: str) -> None:
    (folder / name).write_text(content, encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", name)


def test_a_repository_without_commits_says_so(repository: Path) -> None:
    with pytest.raises(UserError, match=r"HEAD: .* no commit yet: `git add --all && git commit`"):
        resolve_revision("HEAD")


def test_a_shallow_clone_names_what_brings_its_history(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "three"):
        commit_file(repository, name, name)
    git(repository, "branch", "other", "HEAD~2")
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth", "1", repository.as_uri(), str(shallow))
    monkeypatch.chdir(shallow)
    for name in ("HEAD~1", "origin/other"):
        with pytest.raises(UserError, match=f"{name}: .* a part of the history: `git") as refusal:
            resolve_revision(name)
    remedy = str(refusal.value).split("`")[-2]
    subprocess.run(["bash", "-c", remedy], check=True, capture_output=True)
    assert resolve_revision("HEAD~1")
    assert resolve_revision("origin/other")
    with pytest.raises(UserError) as refusal:
        resolve_revision("HEAD~9")
    assert "history" not in str(refusal.value)


def test_an_absent_file_is_none_and_a_lost_one_is_not(repository: Path) -> None:
    commit_file(repository, "file", "content")
    commit = resolve_revision("HEAD")
    assert read_content(commit, "file") == b"content"
    assert read_content(commit, "no file") is None
    (repository / "untracked").touch()
    assert read_content(commit, "untracked") is None
    for path in (repository / ".git/objects").glob("??/*"):
        path.chmod(0o644)
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"Git refuses:\n.*is empty"):
        read_content(commit, "file")


def test_outside_of_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="Git refuses:\nfatal: not a git repository"):
        resolve_revision("HEAD")


def test_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="git is not installed"):
        resolve_revision("HEAD")


@pytest.mark.parametrize(
    ("path", "content", "remedy"),
    [
        ("dvc.lock", "", "`git checkout -- dvc.lock` brings back"),
        ("dvc.lock", "\0" * 9, "`git checkout -- dvc.lock` brings back"),
        ("dvc.lock", "a: 1\n<<<<<<< HEAD\nb: 2\n", "Git is in a merge: "),
        ("params.yaml", "<<<<<<< HEAD\nb: 2\n", "Git is in a merge: "),
        ("params.yaml", "a: [", "Mend it"),
    ],
)
def test_the_remedy_fits_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, content: str, remedy: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / path).write_text(content, encoding="utf-8")
    assert how_to_restore(path).startswith(remedy)


def test_a_clone_of_another_owner(project: Project) -> None:
    """Every command that asks Git, and the set-up."""
    project.environment = project.environment | {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    commands = [COMPARE, *[("python", "-m", f"tools.{name}") for name in ("report", "verify")]]
    for command in (*commands, ("python", "-m", "tools.experiments"), ("tools/make_venv.sh",)):
        said = project.run(*command, code=1)
        assert "detected dubious ownership in repository at" in said
        assert "git config --global --add safe.directory" in said
        assert "Traceback" not in said


def test_a_partial_clone_is_compared_and_reviewed(edited_project: Project, tmp_path: Path) -> None:
    """`dvc params diff` would wait without end for what Git has not fetched."""
    edited_project.commit("An edit")
    edited_project.git("config", "uploadpack.allowFilter", "true")
    partial = Project(tmp_path / "partial", edited_project.environment)
    url = edited_project.folder.as_uri()
    edited_project.git("clone", "--quiet", "--filter=blob:none", url, str(partial.folder))
    missing = ("rev-list", "--objects", "--all", "--missing=print")
    assert "\n?" in partial.git(*missing)
    cache = str(edited_project.folder / ".dvc/cache")
    partial.dvc("cache", "dir", "--local", cache)
    partial.dvc("checkout")
    report = ("timeout", "60", "python", "-m", "tools.report", "HEAD~1")
    partial.run(*report)
    assert "| params.yaml | train.epochs" in partial.read("report/report.md")
    partial.run("timeout", "60", *COMPARE, "HEAD~1", "HEAD")


def test_documents_name_the_remedies() -> None:
    text = (ROOT / "docs/experiments.md").read_text(encoding="utf-8")
    assert "git remote set-branches origin '*' && git fetch --unshallow" in text


def test_a_report_without_dvc_on_the_path(edited_project: Project) -> None:
    environment = edited_project.environment
    bin_folder, _, others = environment["PATH"].partition(":")
    kept = [path for path in others.split(":") if not (Path(path) / "dvc").exists()]
    edited_project.environment = environment | {"PATH": ":".join(kept)}
    edited_project.run(f"{bin_folder}/python", "-m", "tools.report")
    assert "train.epochs" in edited_project.read("report/report.md")
