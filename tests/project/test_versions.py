"""Model versions: what docs/team.md says of gto's tags and of `dvc artifacts get`, from S3."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Project
from servers import S3Server
from test_team import MODEL, add_remote, member

from stages.run.hashes import md5_of_file


@pytest.fixture
def server(tmp_path: Path) -> Iterator[S3Server]:
    (tmp_path / "server").mkdir()
    running = S3Server(tmp_path / "server")
    yield running
    running.stop()


def test_a_version_is_fetched_from_another_folder(
    server: S3Server, finished_project: Project, finished_edit: Project, tmp_path: Path
) -> None:
    project = member(finished_edit, tmp_path / "clone")
    add_remote(project, server)  # HEAD has the first model, the workspace the second
    project.run("gto", "register", "classifier", "--version", "v1.0.0")
    project.run("gto", "assign", "classifier", "--version", "v1.0.0", "--stage", "production")
    project.commit("Another training")
    project.call("tools.report", "--card")
    card = project.read("report/model_card.md")
    project.run("gto", "register", "classifier", "--version", "v1.1.0", "--message", card)
    project.dvc("push", "--all-commits")

    key = {
        "AWS_ACCESS_KEY_ID": server.own["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": server.own["secret_access_key"],
    }
    elsewhere = Project(tmp_path / "elsewhere", project.environment | key)
    elsewhere.folder.mkdir()
    url = project.folder.as_uri()  # Git clones it; of a path DVC reads the cache and the secrets

    def fetched(*asked: str) -> str:
        shutil.rmtree(elsewhere.folder / "classifier", ignore_errors=True)
        elsewhere.dvc("artifacts", "get", url, "classifier", *asked, "--force")
        return md5_of_file(elsewhere.folder / "classifier/model.onnx")

    first, second = (
        md5_of_file(made.folder / "models/classifier/model.onnx")
        for made in (finished_project, project)
    )
    assert first != second
    assert fetched("--rev", "v1.0.0") == first
    assert fetched("--stage", "production") == first
    assert fetched() == second
    message = project.git("tag", "--list", "--format=%(contents)", "classifier@v1.1.0")
    assert message.strip() == card.strip()
    for name in ("models/classifier/model.onnx", MODEL):
        path = project.folder / name
        assert f"| `{name}` | {path.stat().st_size:,} | `{md5_of_file(path)}` |" in message
