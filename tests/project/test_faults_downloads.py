"""Downloads that go wrong, through `dvc repro`, from a web server on this machine."""

import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from conftest import Project, tiny_dataset
from faults import assert_nothing_lost, started
from mirrors import (
    BOMB,
    CONTENT,
    CONTENTS,
    ENDLESS,
    FILE,
    FLIPPED,
    LONG,
    NPM_SOURCE,
    SHORT,
    Answer,
    Handler,
    Server,
    cache,
    cut,
    get,
    no_settings_of_this_machine,
    npm,
    refusal,
    server,
    slow_content,
    slow_headers,
    stalled,
    tar,
    wait_first,
)

from stages.fetch import download
from stages.fetch.download import download_path

__all__ = ["cache", "no_settings_of_this_machine", "npm", "server"]  # fixtures

fault = partial(pytest.mark.fault, heading="Downloads")


def downloading(project: Project, source: str, home: Path) -> None:
    """Let the project fetch from this source alone, into an empty cache of the user's."""
    project.write_dataset("tiny", tiny_dataset(CONTENTS, sources=[source]))
    project.environment = project.environment | {"XDG_CACHE_HOME": str(home), "NO_PROXY": "*"}
    del project.environment["DATASET_FOLDER"]


def offer_all(server: Server, *answers: Answer) -> str:
    """A source that has every file; asked for FILE it gives these answers first."""
    for role, content in CONTENTS.items():
        server.answers[f"/tiny-{role}"] = content
    return server.offer(*answers, CONTENT)


HTML = b"<!DOCTYPE html><title>Please log in</title>"


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        pytest.param(
            [cut] * 3, 255,
            marks=fault(
                done="The connection always closes half-way",
                seen="IncompleteRead(100 bytes read, 3516 more expected)",
            ),
        ),
        pytest.param(
            [FLIPPED], 255,
            marks=fault(done="A bit is flipped", seen="does not match the known hash"),
        ),
        pytest.param(
            [HTML], 255,
            marks=fault(
                done="An HTML page instead of the data", seen="expected 3,616 bytes, found 43"
            ),
        ),
        pytest.param(
            [503, 503], 0,
            marks=fault(
                done="503 twice, then the file",
                seen="test_images: tiny-test_images, 3,616 bytes, SHA-256 as in dataset.yaml",
            ),
        ),
        pytest.param(
            [503] * 3, 255,
            marks=fault(done="Always 503", seen="the server answered 503"),
        ),
        pytest.param(
            [wait_first(429, "1")], 0,
            marks=fault(
                done="429 with `Retry-After: 1`, then the file",
                seen="tiny-test_images: the server answered 429 and asks to wait 1 s",
            ),
        ),
        pytest.param(
            [wait_first(503, "3600")], 255,
            marks=fault(
                done="503 with `Retry-After: 3600`",
                seen="the server answered 503 and asks to wait 3,600 s",
            ),
        ),
        pytest.param(
            [ENDLESS["empty gzip members"]], 255,
            marks=fault(
                done="Empty gzip members without end",
                seen="expected at most 69,188 bytes, gzipped; found more",
            ),
        ),
        pytest.param(
            [ENDLESS["a gzip header's name"]], 255,
            marks=fault(
                done="A gzip header whose name never ends",
                seen="expected at most 69,188 bytes, gzipped; found more",
            ),
        ),
        pytest.param(
            ["http://example.invalid/x"], 255,
            marks=fault(
                done="A redirect to plain http", seen="refused plain http, expected https"
            ),
        ),
        pytest.param(
            [BOMB], 255,
            marks=fault(
                done="A gzip bomb, 64 MiB in 64 KiB", seen="expected 3,616 bytes, found more"
            ),
        ),
    ],
    ids=["cut", "flipped", "html", "busy", "always busy", "wait", "wait long", "members",
         "name", "plain http", "bomb"],
)  # fmt: skip
def test_a_download(
    project: Project, finished_project: Project, tmp_path: Path, server: Server,
    answers: list[Answer], code: int, seen: str,
) -> None:  # fmt: skip
    downloading(project, offer_all(server, *answers), tmp_path / "user")
    output = project.dvc("repro", "--force", "fetch", code=code)
    assert seen in output
    assert "Traceback" not in output
    kept = (tmp_path / "user").rglob("*tiny-*")
    assert {path.read_bytes() for path in kept} <= set(CONTENTS.values())
    assert_nothing_lost(project, finished_project)


@fault(done="The server always stalls half-way, for 30 s", seen="Read timed out")
def test_a_download_that_stalls(server: Server, cache: Path, seen: str) -> None:
    """With less patience than the 30 s of the stage."""
    assert seen in refusal(cache, server.offer(stalled, stalled, stalled), silence=SHORT)
    assert get(cache, server.offer(CONTENT), silence=LONG) == CONTENT


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            slow_content,
            marks=fault(done="The server sends a byte every two seconds", seen="gave up after"),
        ),
        pytest.param(
            slow_headers,
            marks=fault(done="The same within its headers", seen="bytes a second"),
        ),
    ],
)
def test_a_slow_download(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer, seen: str
) -> None:
    """With less patience than the minute of the stage."""
    monkeypatch.setattr(download, "START_SECONDS", SHORT)
    assert seen in refusal(cache, server.offer(answer))


@fault(
    done="`DATASET_FOLDER` names a folder that is not there, files in the cache",
    seen="DATASET_FOLDER: expected a folder, found none at /nowhere",
)
def test_a_wrong_folder(project: Project, finished_project: Project, seen: str) -> None:
    right = project.environment["DATASET_FOLDER"]
    project.environment = project.environment | {"DATASET_FOLDER": "/nowhere"}
    assert seen in project.dvc("repro", "--force", "fetch", code=255)
    project.environment["DATASET_FOLDER"] = right
    assert_nothing_lost(project, finished_project)


@fault(done="A HOME that cannot be written", seen="XDG_CACHE_HOME=/that/folder dvc repro")
def test_a_home_that_cannot_be_written(
    project: Project, finished_project: Project, seen: str
) -> None:
    before = project.environment
    project.environment = before | {"XDG_CACHE_HOME": "/proc/nowhere"}
    assert seen in project.dvc("repro", "--force", "fetch", code=255)
    project.environment = before
    assert_nothing_lost(project, finished_project)


@fault(done="No network", seen="Go online and run again, or put the files, gzipped or plain, into")
def test_no_network(project: Project, finished_project: Project, tmp_path: Path, seen: str) -> None:
    downloading(project, "https://example.invalid/{name}", tmp_path / "user")
    assert seen in project.dvc("repro", "--force", "fetch", code=255)
    assert_nothing_lost(project, finished_project)


@fault(done="`kill -9` during a download, then `dvc repro`", seen="Running stage 'fetch'")
def test_a_killed_download(
    project: Project, finished_project: Project, tmp_path: Path, server: Server, seen: str
) -> None:
    half_sent = threading.Event()

    def half(handler: Handler) -> None:
        handler.reply(200, CONTENT[:100], **{"content-length": str(len(CONTENT))})
        half_sent.set()
        handler.server.over.wait(60)
        handler.close_connection = True

    downloading(project, offer_all(server, half), tmp_path / "user")
    with started(project, "dvc", "repro", "--force", "fetch") as run:
        run.until(half_sent.is_set)
        run.send(signal.SIGKILL)
    assert not (project.folder / "data/raw").exists()
    assert not download_path(FILE, tmp_path / "user/dvc-image-pipeline").exists()
    assert seen in project.dvc("repro", "--force", "fetch")
    assert server.asked.count(f"/{FILE.name}") == 2
    assert_nothing_lost(project, finished_project)


@pytest.mark.parametrize(
    "archive",
    [
        pytest.param(
            tar([("package/data/tiny-train_images", "/etc/hostname")]),
            marks=fault(
                done="An npm package with a symlink for the file",
                seen="not a plain file in the package",
            ),
        ),
        pytest.param(
            tar([("package/data/../../../x", b"x")]),
            marks=fault(
                done="An npm package with `../x`, without the file",
                seen="filename 'package/data/tiny-train_images' not found",
            ),
        ),
    ],
    ids=["symlink", "outside"],
)
def test_a_package(
    project: Project, finished_project: Project, tmp_path: Path, npm: Callable[..., Path],
    archive: bytes, seen: str,
) -> None:  # fmt: skip
    folder = npm(archive)
    downloading(project, NPM_SOURCE, tmp_path / "user")
    project.environment["PATH"] = f"{folder}:{project.environment['PATH']}"
    assert seen in project.dvc("repro", "--force", "fetch", code=255)
    assert not list(tmp_path.rglob("x"))
    assert_nothing_lost(project, finished_project)
