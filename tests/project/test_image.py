"""The container image, tried without Docker: what it copies, installs and runs."""

import json
import re
import shlex
from pathlib import Path

import pytest
from conftest import ROOT, Project, sources_of_project
from images import instructions_of, is_sent

INSTRUCTIONS = instructions_of(ROOT / "Dockerfile")
IGNORE_FILE = (ROOT / ".dockerignore").read_text(encoding="utf-8")
PATTERNS = re.findall(r"^[^#\n].*", IGNORE_FILE, re.MULTILINE)
# What the pipeline needs of the project; `dvc repro` in the image is a test below.
NEEDED = (
    r"(stages|tools|data/\w+|\.dvc/plots)/.+\.(py|ya?ml|json|html)|\w+\.yaml|dvc\.lock|\.dvc/config"
)


def is_sent_to_docker(path: str) -> bool:
    return is_sent(path, IGNORE_FILE)


def test_the_image_copies_what_exists() -> None:
    sources = [
        word
        for name, rest in INSTRUCTIONS
        if name == "COPY"
        for word in shlex.split(rest)[:-1]
        if not word.startswith("--")
    ]
    assert sources == ["requirements/pipeline.txt", "."]
    kept = [pattern[1:] for pattern in PATTERNS if pattern.startswith("!")]
    for path in [*sources[:-1], *kept]:
        assert (ROOT / path).exists(), path
        assert is_sent_to_docker(path), path


def test_the_image_has_the_pipeline_and_its_tools() -> None:
    sent = {name for name in sources_of_project() if is_sent_to_docker(name)}
    assert {name for name in sources_of_project() if re.fullmatch(NEEDED, name)} <= sent
    assert {".dvcignore", "requirements/pipeline.txt"} <= sent
    folders = {name.split("/")[0] for name in sent}
    assert folders & {"tests", "docs", "benchmarks", "sweeps", "reports", ".github"} == set()


@pytest.mark.parametrize(
    "path",
    [".dvc/config.local", ".dvc/cache/files/md5/00/00", ".dvc/tmp/lock", ".env", ".git/config",
     ".venv/bin/python", "data/mine/images/a/1.png", "data/processed/x_test.npy", "data/raw/a.idx",
     "models/model.keras", "reports/test.json", "stages/train/__pycache__/main.pyc"],
)  # fmt: skip
def test_the_image_has_no_secrets_and_no_results(path: str) -> None:
    assert not is_sent_to_docker(path)


def test_the_image_installs_locked_packages_as_root_and_runs_without_rights() -> None:
    names = [name for name, _ in INSTRUCTIONS]
    installs = [rest for name, rest in INSTRUCTIONS if name == "RUN" and "pip install" in rest]
    assert len(installs) == 1
    assert "--require-hashes --requirement /tmp/pipeline.txt" in installs[0]
    assert ("COPY", "requirements/pipeline.txt /tmp/") in INSTRUCTIONS
    assert [rest for name, rest in INSTRUCTIONS if name == "USER"] == ["1000:1000"]
    assert names.index("RUN") < names.index("USER") < names.index("CMD")
    (work,) = (rest for name, rest in INSTRUCTIONS if name == "WORKDIR")
    (user,) = (rest for name, rest in INSTRUCTIONS if "useradd" in rest)
    assert "--uid 1000 " in user
    assert user.endswith(f"install --directory --owner=1000 --group=1000 {work}")


def test_the_image_s_command_runs_the_pipeline(fresh_project: Project, tmp_path: Path) -> None:
    """The steps after the packages, on what the image gets of a project with the tiny data set."""
    image = Project(tmp_path / "project", fresh_project.environment | {"HOME": str(tmp_path)})
    for name in fresh_project.git("ls-files").splitlines():
        if is_sent_to_docker(name):
            image.folder.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
            image.folder.joinpath(name).write_bytes((fresh_project.folder / name).read_bytes())
    after = [name for name, _ in INSTRUCTIONS].index("USER")
    for name, rest in INSTRUCTIONS[after:]:
        if name == "RUN":
            image.run("sh", "-c", rest)
    command = next(rest for name, rest in INSTRUCTIONS if name == "CMD")
    output = image.run(*json.loads(command))
    assert re.search(r"reports/test\.json +0\.\d+", output)
    assert (image.folder / "models/model.keras").exists()
