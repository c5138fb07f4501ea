"""The rows of `make bench` that read what another command printed."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.flips import flip_labels, recall_of_flips, say_recall
from benchmarks.serving.__main__ import Load, describe
from benchmarks.speed import rooms
from benchmarks.speed.measure import Measurement
from benchmarks.speed.rows import LIMITS
from benchmarks.speed.workplace import Workplace


class Printing:
    """A clone whose commands only print, each its text."""

    def __init__(self, texts: dict[tuple[str, ...], str]) -> None:
        self.texts = texts

    def run(self, *command: str) -> Measurement:
        (text,) = [text for words, text in self.texts.items() if command[: len(words)] == words]
        lines = [(0.1, f"{line}\n") for line in text.splitlines()]
        return Measurement(len(text), 10, 10, lines)


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path, runs=2, epochs=2)


def test_a_share_of_the_labels_is_flipped_each_to_another_class() -> None:
    labels, rows = np.arange(3000, dtype=np.uint8) % 3, np.arange(1000, 3000)
    wrong, flipped = flip_labels(labels, rows, 3, seed=1)
    assert len(flipped) == 20
    assert set(np.flatnonzero(wrong != labels)) == set(flipped) <= set(rows)
    assert wrong.max() == 2
    assert wrong.dtype == labels.dtype


@pytest.mark.parametrize(
    ("ranked", "recall"),
    [
        ([7, 5, 3], 1.0),
        ([7, 5], 2 / 3),
        ([1, 7, 5, 3], 0.0),  # the first is none: nine in ten are never reached
        ([7, 1, 5, 3], 1 / 3),
    ],
)
def test_recall_counts_as_far_as_nine_in_ten_are_right(ranked: list[int], recall: float) -> None:
    assert recall_of_flips(np.array(ranked), np.array([3, 5, 7])) == pytest.approx(recall)


def test_the_row_of_the_audit_names_both_recalls(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = Printing(
        {
            rooms.AUDIT: f"fold 1\nflips, seed 0: {say_recall(0.998)}, 3 s",
            rooms.CLEANLAB: f"cleanlab: {say_recall(0.75)}",
        }
    )
    monkeypatch.setattr(Workplace, "prepared", lambda _: clone)
    (result,) = rooms.label_audit(place)
    assert "0.998" in result.note
    assert result.note.endswith("the peer 0.750")
    assert len(result.ours) == len(result.peer) == 1
    assert result.what in LIMITS


def test_the_row_of_the_server_has_milliseconds_of_each_run(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = {"this server": 4000, "ten lines of FastAPI": 2000, "LitServe": 500}
    text = "\n".join(
        f"{number}/2 {server}: {describe(Load(rate * number, 14.2, 105))}; disturbed: it had 0.8"
        for number in (1, 2)
        for server, rate in loads.items()
    )
    monkeypatch.setattr(rooms, "finished", lambda _: Printing({rooms.SERVING: text}))
    (result,) = rooms.requests(place)
    assert (result.ours, result.peer, result.unit) == ([0.25, 0.125], [0.5, 0.25], "ms")
    assert result.what in LIMITS
