"""Web servers and npm packages on this machine for the tests of downloads, good and bad."""

import gzip
import io
import os
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import make_section, tiny_dataset, tiny_files

from stages.fetch.download import download_missing, download_path
from stages.fetch.main import FOLDER_VARIABLE
from stages.run.params import Dataset
from stages.shared.errors import UserError

CONTENTS = tiny_files()
ROLE = "test_images"
CONTENT = CONTENTS[ROLE]
DATASET = make_section(Dataset, **tiny_dataset(CONTENTS, sources=[]))
FILE = DATASET.files.test_images
FILES = list(vars(DATASET.files).values())
FLIPPED = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
BOMB = gzip.compress(bytes(1 << 26))  # 64 MiB of zeros in 64 KiB

PAUSES = (0.01, 0.01)  # seconds before another attempt
SHORT = 0.3  # seconds of silence, where a server is silent; elsewhere a busy machine has more
LONG = 10.0

# What the server does with a request: content, a status, a redirect's target, or a function.
Answer = bytes | int | str | Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers from `server.answers`; of a list each request takes the next."""

    server: "Server"
    protocol_version = "HTTP/1.1"  # the connection stays open, as a real mirror's does
    timeout = 5

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        answer = self.server.answers.get(self.path, 404)
        if isinstance(answer, list):
            answer = answer.pop(0)
        match answer:
            case bytes():
                self.reply(200, answer)
            case int():
                self.reply(answer, b"no such luck")
            case str():
                self.reply(302, location=answer)
            case _:
                answer(self)

    def reply(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"content-length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """A web server on this machine."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer | list[Answer]] = {}
        self.asked: list[str] = []
        self.over = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that give up are what these tests are about; all else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def source(self, place: str = "") -> str:
        return f"http://127.0.0.1:{self.server_port}/{place}{{name}}"

    def offer(self, *answers: Answer) -> str:
        """A source that gives these answers when asked for FILE, one after the other."""
        self.answers[f"/{FILE.name}"] = list(answers)
        return self.source()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)


def get(cache: Path, *sources: str, file: Any = FILE, silence: float = LONG) -> bytes:
    """The bytes of `file` in the cache after it was downloaded from these sources."""
    download_missing([file], sources, cache, (LONG, silence), PAUSES)
    return download_path(file, cache).read_bytes()


def refusal(cache: Path, *sources: str, silence: float = LONG) -> str:
    """The message of a download that has to fail and leave nothing behind."""
    with pytest.raises(UserError) as caught:
        get(cache, *sources, silence=silence)
    assert not cache.exists() or list(cache.iterdir()) == []
    return str(caught.value)


def folder(path: Path, content: bytes = CONTENT, suffix: str = "") -> str:
    """A source that is a folder with FILE in it."""
    path.mkdir(parents=True)
    (path / f"{FILE.name}{suffix}").write_bytes(content)
    return f"folder:{path}"


def cut(handler: Handler) -> None:
    """Promise the whole and send its start."""
    handler.reply(200, CONTENT[:100], **{"content-length": str(len(CONTENT))})
    handler.close_connection = True


def stalled(handler: Handler) -> None:
    """Send the start, then nothing."""
    handler.reply(200, CONTENT[:100], **{"content-length": str(len(CONTENT))})
    handler.server.over.wait(5)
    handler.close_connection = True


def drip(handler: Handler, start: bytes, part: bytes, pause: float) -> None:
    """Send the start, then the part again and again, until the client gives up."""
    while not handler.server.over.wait(pause):
        handler.wfile.write(start)
        start = part


def slow_content(handler: Handler) -> None:
    """Send a byte every now and then, so that the server is never silent for long."""
    handler.reply(200, CONTENT[:1], **{"content-length": str(len(CONTENT))})
    drip(handler, b"", b"x", 0.05)


def slow_headers(handler: Handler) -> None:
    drip(handler, b"HTTP/1.1 200 OK\r\n", b"x-more: 1\r\n", 0.05)


def endless(start: bytes, part: bytes) -> Callable[[Handler], None]:
    """Send content of unknown length that never ends, as fast as the client takes it."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        drip(handler, start, part, 0)

    return answer


def wait_first(status: int, after: str) -> Callable[[Handler], None]:
    """Answer a status and when to ask again."""
    return lambda handler: handler.reply(status, **{"retry-after": after})


NOTHING_GZIPPED = gzip.compress(b"")
ENDLESS = {
    "empty gzip members": endless(NOTHING_GZIPPED, NOTHING_GZIPPED * 4096),
    "a gzip header's name": endless(b"\x1f\x8b\x08\x08" + bytes(6), b"n" * 65536),
    "a gzip header's comment": endless(b"\x1f\x8b\x08\x10" + bytes(6), b"c" * 65536),
    "empty deflate blocks": endless(b"\x1f\x8b\x08\x00" + bytes(6), b"\x00\x00\x00\xff\xff" * 8192),
}


def silent(handler: Handler) -> None:
    """Take the request and never answer."""
    handler.server.over.wait(5)
    handler.close_connection = True


# npm

MEMBER = f"package/data/{FILE.name}"
NPM_SOURCE = "npm:tiny-data@1.0.0/data/{name}"


def tar(members: list[tuple[str, bytes | str]], mode: str = "w:gz") -> bytes:
    """An archive of (name, content) or, if the content is a string, of (name, link to where)."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts a command npm on the PATH that writes an archive and ends with an exit code."""

    def install(archive: bytes = b"", code: int = 0, name: str = "tiny-data-1.0.0.tgz") -> Path:
        binaries = tmp_path / "binaries"
        binaries.mkdir()
        (binaries / "archive").write_bytes(archive)
        command = binaries / "npm"
        command.write_text(
            f"#!{sys.executable}\n"
            "import pathlib, shutil, sys\n"
            f"here = pathlib.Path({str(binaries)!r})\n"
            "(here / 'arguments').write_text(' '.join(sys.argv[1:]))\n"
            "(here / 'workplace').write_text(str(pathlib.Path.cwd()))\n"
            f"shutil.copy(here / 'archive', {name!r})\n"
            "print('npm: no package of that name', file=sys.stderr)\n"
            f"sys.exit({code})\n",
            encoding="utf-8",
        )
        command.chmod(0o755)
        monkeypatch.setenv("PATH", f"{binaries}{os.pathsep}{os.environ['PATH']}")
        return binaries

    return install
