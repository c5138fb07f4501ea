"""Reading the reports: every damaged one is refused with a message."""

import json
from pathlib import Path

import pytest
from conftest import refusal

from stages.plots.reports import read_confusion, read_json, read_table

READERS = [read_json, read_table]


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


ROWS = [
    {"actual": "a", "predicted": "a", "count": 5},
    {"actual": "b", "predicted": "b", "count": 3},
    {"actual": "a", "predicted": "b", "count": 1},
    {"actual": None, "predicted": None, "count": 2},
]


def write_rows(path: Path, rows: object) -> Path:
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def test_confusion_is_read(tmp_path):
    counts, left_out = read_confusion(write_rows(tmp_path / "confusion.json", ROWS), 2)
    assert counts.tolist() == [[5, 1], [0, 3]]
    assert left_out == 2


@pytest.mark.parametrize(
    "rows",
    [
        {}, 7, [], ["a"], [[]], [{}], ROWS[2:], ROWS[:1],
        [*ROWS, {"actual": "c", "predicted": "a", "count": 1}],
        [*ROWS, {"actual": "a", "predicted": "c", "count": 1}],
        [*ROWS, {"actual": ["a"], "predicted": "a", "count": 1}],
        [*ROWS, {"actual": "b", "predicted": "a"}],
        [*ROWS, {"actual": "b", "predicted": "a", "count": "many"}],
        [*ROWS, {"actual": "b", "predicted": "a", "count": None}],
        [*ROWS, {"actual": "b", "predicted": "a", "count": 10**30}],
        [*ROWS, {"actual": None, "predicted": None, "count": "two"}],
    ],
    ids=str,
)  # fmt: skip
def test_damaged_confusion_is_refused(tmp_path, rows):
    path = write_rows(tmp_path / "confusion.json", rows)
    assert "expected counts of 2 classes" in refusal(lambda each: read_confusion(each, 2), path)
