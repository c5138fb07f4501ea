"""Reading the reports: every damaged one is refused with a message."""

from collections.abc import Callable
from pathlib import Path

import pytest

from stages.plots.reports import read_json, read_table
from stages.shared.errors import UserError

READERS = [read_json, read_table]


def refusal(read: Callable[[Path], object], path: Path) -> str:
    """The message about a file that cannot be read; it says what to do."""
    with pytest.raises(UserError) as caught:
        read(path)
    message = str(caught.value)
    assert str(path) in message
    assert "`dvc repro` makes it again" in message
    return message


@pytest.mark.parametrize("read", READERS)
def test_a_missing_report_is_named_with_what_brings_it(tmp_path, read):
    assert "file is missing: " in refusal(read, tmp_path / "file")


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"garbage\nmore\n", b"\x00\n" * 99])
def test_garbage_is_no_report(tmp_path, read, content):
    (tmp_path / "file").write_bytes(content)
    assert "expected" in refusal(read, tmp_path / "file")


@pytest.mark.parametrize("text", ['{"a": 1', "{'a': 1}", '{"a": 1} {}', "[" * 100_000, "1" * 5000])
def test_damaged_json_is_refused(tmp_path, text):
    (tmp_path / "file.json").write_text(text, encoding="utf-8")
    assert "expected JSON" in refusal(read_json, tmp_path / "file.json")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n1,x\n",
        "a,b\n1\n2\n",
        "a,b\n1,2,3\n",
        "a,b\n1,2\n3\n",
        "a\n1\n\n",
        "a\n" + "1" * 200_000,
    ],
    ids=["empty", "text", "too narrow", "too wide", "ragged", "blank line", "endless field"],
)
def test_a_damaged_table_is_refused(tmp_path, text):
    (tmp_path / "file.csv").write_text(text, encoding="utf-8")
    assert "expected a header and numbers" in refusal(read_table, tmp_path / "file.csv")
