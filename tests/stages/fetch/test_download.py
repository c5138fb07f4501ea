"""Downloads: only the bytes that dataset.yaml describes reach the cache."""

import email.utils
import errno
import gzip
import hashlib
import io
import os
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from conftest import make_section, tiny_dataset
from mirrors import (
    BOMB,
    CONTENT,
    CONTENTS,
    ENDLESS,
    FILE,
    FILES,
    FLIPPED,
    LONG,
    PAUSES,
    ROLE,
    SHORT,
    cache,
    cut,
    folder,
    get,
    no_settings_of_this_machine,
    refusal,
    server,
    silent,
    slow_content,
    slow_headers,
    stalled,
    wait_first,
)

from stages.fetch import download
from stages.fetch.download import copy_plain, download_missing, download_path, is_cached
from stages.fetch.main import FOLDER_VARIABLE
from stages.run.params import Dataset
from stages.shared.errors import UserError

__all__ = ["cache", "no_settings_of_this_machine", "server"]  # fixtures


# The cache


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
    download_path(FILE, cache).write_bytes(content)
    assert get(cache, source) == CONTENT


def test_files_of_one_name_and_different_content_live_side_by_side(tmp_path, cache):
    files = CONTENTS | {ROLE: FLIPPED}
    other = make_section(Dataset, **tiny_dataset(files, sources=[])).files.test_images
    assert get(cache, folder(tmp_path / "one")) == CONTENT
    assert get(cache, folder(tmp_path / "two", FLIPPED), file=other) == FLIPPED
    assert get(cache) == CONTENT


# Several sources


def test_the_first_source_that_works_is_the_last_that_is_asked(server, tmp_path, cache):
    missing = f"folder:{tmp_path / 'nowhere'}"
    server.answers[f"/first/{FILE.name}"] = CONTENT
    assert get(cache, missing, server.source("first/"), server.source("second/")) == CONTENT
    assert server.asked == [f"/first/{FILE.name}"]


def test_a_further_source_is_asked_for_what_is_still_missing_alone(server, tmp_path, cache):
    first, second, *_rest = FILES
    (tmp_path / first.name).write_bytes(CONTENTS["train_images"])
    server.answers[f"/{second.name}"] = CONTENTS["train_labels"]
    download_missing([first, second], [f"folder:{tmp_path}", server.source()], cache)
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


# Servers that are never silent and never done


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less patience with a slow server."""
    monkeypatch.setattr(download, "START_SECONDS", SHORT)
    monkeypatch.setattr(download, "LOWEST_RATE", 1_000_000)


@pytest.mark.parametrize("answer", [slow_content, slow_headers])
def test_a_slow_server_is_given_up_and_the_next_source_is_used(
    hurried, server, tmp_path, cache, answer
):
    source = server.offer(answer)
    reason = f"{FILE.name}: gave up after 0 s: expected 1,000,000 bytes a second"
    assert reason in refusal(cache, source)
    source = server.offer(answer)
    assert get(cache, source, folder(tmp_path / "data")) == CONTENT
    assert len(server.asked) == 2  # once each: another attempt would be as slow


def test_a_slow_source_is_not_asked_for_the_other_files(hurried, server, cache):
    with pytest.raises(UserError, match="gave up"):
        download_missing(FILES[FILES.index(FILE) :], [server.offer(slow_content)], cache)
    assert server.asked == [f"/{FILE.name}"]


def test_a_pipe_in_a_folder_that_nobody_writes_to_is_given_up(hurried, tmp_path, cache):
    os.mkfifo(tmp_path / FILE.name)
    assert "gave up" in refusal(cache, f"folder:{tmp_path}")


def test_a_large_file_has_more_time(monkeypatch):
    alarms = []
    monkeypatch.setattr("signal.setitimer", lambda _which, seconds: alarms.append(seconds))
    for size in (1, 3_200_000_000):
        with download.limit_time(SimpleNamespace(size=size)):
            pass
    assert alarms == [pytest.approx(60, abs=1), 0, pytest.approx(100_060, abs=1), 0]


@pytest.mark.parametrize("kind", ENDLESS)
def test_data_without_end_that_unpacks_to_nothing_is_refused_at_once(server, cache, kind):
    message = refusal(cache, server.offer(ENDLESS[kind]))
    assert "bytes, gzipped; found more" in message


@pytest.mark.parametrize("level", [0, 1, 9])
def test_a_file_that_gzip_made_larger_is_no_file_without_end(server, cache, level):
    assert get(cache, server.offer(gzip.compress(CONTENT, level))) == CONTENT


# Servers that ask to wait


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_wait_is_asked_again_then(server, cache, capsys, status):
    start = time.monotonic()
    assert get(cache, server.offer(wait_first(status, "1"), CONTENT)) == CONTENT
    assert time.monotonic() - start >= 1
    line = f"{FILE.name}: the server answered {status} and asks to wait 1 s\n"
    assert line in capsys.readouterr().out


def test_a_date_to_wait_for_is_understood(server, cache, monkeypatch):
    pauses = []
    monkeypatch.setattr("time.sleep", pauses.append)
    at = email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert get(cache, server.offer(wait_first(503, at), CONTENT)) == CONTENT
    assert pauses == [pytest.approx(29, abs=2)]


@pytest.mark.parametrize("after", ["soon", "-5", "", "Wed, 01 Jan 2020 00:00:00 GMT"])
def test_a_time_to_wait_that_is_none_changes_nothing(server, cache, after):
    assert get(cache, server.offer(wait_first(429, after), CONTENT)) == CONTENT


def test_a_server_that_asks_to_wait_for_long_is_given_up(server, tmp_path, cache):
    source = server.offer(wait_first(429, "3600"))
    assert "the server answered 429 and asks to wait 3,600 s" in refusal(cache, source)
    source = server.offer(wait_first(429, "3600"))
    assert get(cache, source, folder(tmp_path / "data")) == CONTENT


# Content other than dataset.yaml describes


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
        copy_plain(io.BytesIO(BOMB), target, FILE)
    assert target.stat().st_size <= FILE.size


def test_a_gzip_bomb_is_refused(server, cache):
    assert "found more" in refusal(cache, server.offer(BOMB))


# When nothing works


def test_a_cache_that_cannot_be_written_is_no_fault_of_the_source(tmp_path, cache):
    cache.write_bytes(b"a file where the folder should be")
    with pytest.raises(UserError) as caught:
        get(cache, folder(tmp_path / "good"), folder(tmp_path / "as good"))
    assert str(caught.value).startswith(f"{cache}: ")
    assert str(caught.value).endswith("XDG_CACHE_HOME=/that/folder dvc repro")


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
    assert lines[0].startswith(f"no source gave {FILE.name} as described in dataset.yaml")
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
    assert lines[-1].endswith(f"{FOLDER_VARIABLE}=/that/folder dvc repro")


def test_sources_that_have_all_files_together_are_enough(tmp_path, cache):
    for number, (file, content) in enumerate(zip(FILES, CONTENTS.values(), strict=True)):
        place = tmp_path / ("even" if number % 2 else "odd")
        place.mkdir(exist_ok=True)
        (place / file.name).write_bytes(content)
    download_missing(FILES, [f"folder:{tmp_path / 'odd'}", f"folder:{tmp_path / 'even'}"], cache)
    assert all(is_cached(file, cache) for file in FILES)


def test_a_source_out_of_reach_is_not_asked_for_the_other_files(server, cache):
    server.shutdown()
    server.server_close()
    with pytest.raises(UserError) as caught:
        download_missing(FILES, [server.source()], cache, (LONG, LONG), PAUSES)
    assert str(caught.value).count("Connection refused") == 1


def test_without_any_source_the_message_says_so(cache):
    assert "(dataset.yaml names none)" in refusal(cache)


def test_a_server_that_is_not_there_is_named_in_a_few_words(server, cache):
    server.shutdown()
    server.server_close()
    message = refusal(cache, server.source())
    assert "Connection refused" in message
    assert "Max retries" not in message


def test_the_message_names_every_file_that_is_missing(tmp_path, cache):
    with pytest.raises(UserError, match=", ".join(file.name for file in FILES)):
        download_missing(FILES, [f"folder:{tmp_path}"], cache)


def test_what_came_before_a_fault_is_kept_for_the_next_run(tmp_path, cache):
    (tmp_path / FILES[0].name).write_bytes(CONTENTS["train_images"])
    with pytest.raises(UserError):
        download_missing(FILES, [f"folder:{tmp_path}"], cache)
    assert [path.name for path in cache.iterdir()] == [download_path(FILES[0], cache).name]
