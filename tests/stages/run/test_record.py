"""The record of what a result was made from, and how it differs from another."""

import json
from pathlib import Path

import pytest

from stages.run.record import add_record, compare_records, read_record, record_of

MADE = ["value seed = 0", 'value model.name = "mlp"', "data x.npy = 12", "code stages/train = 34"]


def test_a_record_stands_in_the_metrics_beside_the_scores(tmp_path: Path) -> None:
    path = tmp_path / "test.json"
    path.write_text('{"accuracy": 0.5}', encoding="utf-8")
    add_record(path, MADE)
    assert json.loads(path.read_text("utf-8")) == {"accuracy": 0.5, "made_from": MADE}
    assert read_record(path) == MADE


@pytest.mark.parametrize("metrics", [{}, {"accuracy": 1}, {"made_from": "text"}, [], 5, None])
def test_metrics_without_a_record_have_none(metrics: object) -> None:
    assert record_of(metrics) is None


def test_a_file_that_is_not_there_has_no_record(tmp_path: Path) -> None:
    assert read_record(tmp_path / "test.json") is None


@pytest.mark.parametrize(
    ("line", "kind", "difference"),
    [
        ("value seed = 1", "value", "seed: 0 when it was made, 1 now"),
        ("data x.npy = 13", "data", "x.npy: 12 when it was made, 13 now"),
        ("code stages/train = 35", "code", "stages/train: 34 when it was made, 35 now"),
    ],
)
def test_each_kind_of_difference_is_told_apart(line: str, kind: str, difference: str) -> None:
    title = line.split(" = ", maxsplit=1)[0]
    now = [line if old.startswith(f"{title} = ") else old for old in MADE]
    for asked in ("value", "data", "code", "library"):
        found = compare_records(MADE, now, [asked])
        assert found == ([difference] if asked == kind else [])


def test_what_one_of_the_two_lacks_is_absent() -> None:
    assert compare_records(MADE, MADE[1:], ["value"]) == ["seed: 0 when it was made, absent now"]
    assert compare_records(MADE[1:], MADE, ["value"]) == ["seed: absent when it was made, 0 now"]


def test_a_value_may_hold_the_sign_between_name_and_value() -> None:
    made, now = ["value a = x = y"], ["value a = x = z"]
    assert compare_records(made, now, ["value"]) == ["a: x = y when it was made, x = z now"]
