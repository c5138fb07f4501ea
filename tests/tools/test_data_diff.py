"""What differs between two revisions' images: against counts made here and a plain oracle."""

import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from conftest import CLASSES
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text

from stages.plots.names import draw_as_written
from stages.shared.errors import UserError
from tools.compare.data_diff import (
    DataDiff,
    Images,
    count_by_class,
    count_by_split,
    count_moved,
    count_relabelled,
    diff_images,
    list_changes,
)
from tools.compare.data_figure import choose_evenly, draw_data_changes
from tools.compare.data_page import DataSection, describe_contents
from tools.compare.image_rows import MOST_IMAGES
from tools.compare.page import Page, as_json, print_page
from tools.shared.common_images import FEWEST_IMAGES, find_common, list_reasons, refuse_too_few
from tools.shared.contents import Contents, hash_images, pair_equal
from tools.shared.paths import SPLITS
from tools.shared.revisions import Revision

Part = tuple[np.ndarray, np.ndarray]  # images and labels of a split


def revision(name: str, classes: list[str] = CLASSES, **params: object) -> Revision:
    return Revision(name, "c" * 40, {"dataset.yaml:classes": classes, **params}, {}, {}, [], None)


def contents(parts: dict[str, Part]) -> dict[str, Contents]:
    return {
        split: Contents(hash_images(images), labels, images.shape[1:])
        for split, (images, labels) in parts.items()
    }


def describe(
    a: dict[str, Part], b: dict[str, Part], revisions: tuple[Revision, Revision] | None = None
) -> DataSection:
    return describe_contents(
        *(revisions or (revision("a"), revision("b"))), contents(a), contents(b)
    )


def make_parts(colour: bool = False, seed: int = 0) -> dict[str, Part]:
    """60, 30 and 15 noisy images of 5 x 4 pixels, the classes in turn."""
    random = np.random.default_rng(seed)
    return {
        split: (
            random.integers(0, 256, (count, 5, 4, *([3] if colour else [])), dtype=np.uint8),
            (np.arange(count) % 3).astype(np.uint8),
        )
        for split, count in zip(SPLITS, (60, 30, 15), strict=True)
    }


def change_parts(parts: dict[str, Part], colour: bool = False) -> dict[str, Part]:
    """Flip 4 train and 1 test labels, remove 3, add 2, move 5 from train to validation, one of
    which is relabelled. Rows are mixed.
    """
    x, y = (array.copy() for array in parts["train"])
    y[[0, 3, 6]] = 1  # left -> middle
    y[1] = 2  # middle -> right
    y[20] = 0  # right -> left, and moved
    moves, removals = [20, 21, 22, 23, 24], [30, 31, 32]
    kept = np.setdiff1d(np.arange(60), moves + removals)
    kept = np.random.default_rng(1).permutation(kept)
    new = np.random.default_rng(2).integers(0, 256, (2, *x.shape[1:]), dtype=np.uint8)
    xv, yv = parts["validation"]
    xt, yt = parts["test"]
    yt = yt.copy()
    yt[14] = 0  # right -> left
    return {
        "train": (np.concatenate([new, x[kept]]), np.r_[[1, 1], y[kept]].astype(np.uint8)),
        "validation": (np.concatenate([xv, x[moves]]), np.r_[yv, y[moves]].astype(np.uint8)),
        "test": (xt, yt),
    }


@pytest.mark.parametrize("colour", [False, True])
def test_each_change_is_counted_and_named_exactly(colour: bool) -> None:
    a = make_parts(colour)
    b = change_parts(a, colour)
    section = describe(a, b)
    data = section.data
    assert {key: data[key] for key in ("unchanged", "added", "removed", "relabelled", "moved")} == {
        "unchanged": 105 - 3 - 5 - 4 - 1, "added": 2, "removed": 3, "relabelled": 6, "moved": 5,
    }  # fmt: skip
    assert data["relabelled_and_moved"] == 1
    assert data["splits"] == [
        split_row("train", 60, 54, added=2, removed=3, relabelled=4, moved_out=5),
        split_row("validation", 30, 35, relabelled=1, moved_in=5),
        split_row("test", 15, 15, relabelled=1),
    ]
    assert data["relabelled_pairs"] == [
        {"a": "left", "b": "middle", "images": 3},
        {"a": "right", "b": "left", "images": 2},
        {"a": "middle", "b": "right", "images": 1},
    ]
    assert data["moved_pairs"] == [{"a": "train", "b": "validation", "images": 5}]
    assert [row["removed"] for row in data["classes"]] == [1, 1, 1]
    assert [row["added"] for row in data["classes"]] == [0, 2, 0]
    found: dict[str, list[Any]] = {}
    for change in data["changes"]:
        found.setdefault(change["change"], []).append((change["a"], change["b"]))
    assert [b for _, b in found["added"]] == [
        place("train", 0, "middle"),
        place("train", 1, "middle"),
    ]
    assert [a["row"] for a, _ in found["removed"]] == [30, 31, 32]
    assert [a["row"] for a, _ in found["relabelled"]] == [0, 1, 3, 6, 20, 14]
    assert found["relabelled"][4] == (place("train", 20, "right"), place("validation", 30, "left"))
    assert [(a["row"], b["row"]) for a, b in found["moved"]] == [(20 + i, 30 + i) for i in range(5)]
    for old, new in found["relabelled"] + found["moved"]:
        pixels = (parts[at["split"]][0][at["row"]] for parts, at in ((a, old), (b, new)))
        assert np.array_equal(*pixels)
    counted, moved = section.answer
    assert counted == (
        "Of the 105 images of A, 92 are unchanged in B, 6 relabelled, 5 moved to another split, "
        "1 of them both, 3 removed; 2 were added."
    )
    assert moved == "Moved: 5 from train to validation."


def split_row(split: str, a: int, b: int, **counts: int) -> dict[str, object]:
    keys = ("added", "removed", "relabelled", "moved_in", "moved_out")
    return {"split": split, "a": a, "b": b, **dict.fromkeys(keys, 0), **counts}


def place(split: str, row: int, name: str) -> dict[str, object]:
    return {"split": split, "row": row, "class": name}


def images_of(items: list[tuple[int, int, int]]) -> Images:
    """Images by (content, split, label)."""
    columns = np.array(items, np.intp).reshape(-1, 3).T
    hashes = np.array([f"{content:016}" for content in columns[0]], "S16")
    return Images(hashes, columns[1], np.arange(len(items)), columns[2])


def summary(diff: DataDiff) -> list[int]:
    kinds = (diff.added, diff.removed, diff.relabelled[0], diff.moved[0])
    return [diff.unchanged, *map(len, kinds)]


@pytest.mark.parametrize(
    ("a", "b", "expected"),  # unchanged, added, removed, relabelled, moved
    [
        ([(1, 0, 0), (1, 0, 0)], [(1, 0, 0)], [1, 0, 1, 0, 0]),
        ([(1, 0, 0)], [(1, 0, 0), (1, 0, 0), (1, 2, 0)], [1, 2, 0, 0, 0]),
        ([(1, 0, 0), (1, 0, 1)], [(1, 0, 1), (1, 0, 1)], [1, 0, 0, 1, 0]),
        ([(1, 0, 0), (1, 1, 0)], [(1, 1, 0), (1, 1, 0)], [1, 0, 0, 0, 1]),
        ([(1, 0, 0), (1, 0, 0)], [(1, 0, 0), (1, 1, 1)], [1, 0, 0, 1, 1]),
        ([], [(1, 0, 0)], [0, 1, 0, 0, 0]),
        ([(1, 0, 0)], [], [0, 0, 1, 0, 0]),
    ],
)
def test_equal_images_count_as_often_as_they_stand(
    a: list[tuple[int, int, int]], b: list[tuple[int, int, int]], expected: list[int]
) -> None:
    assert summary(diff_images(images_of(a), images_of(b), CLASSES)) == expected


ITEMS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), max_size=12
)  # content, split, label: few of each, so that there are many repeats


def plain_diff(a: list[tuple[int, int, int]], b: list[tuple[int, int, int]]) -> list[int]:
    """The same by counting what is left after each rule."""
    rules = [(1, 1, 1), (1, 1, 0), (1, 0, 1), (1, 0, 0)]
    counts, left_a, left_b = [], list(a), list(b)
    for rule in rules:
        paired = 0
        for item in list(left_a):
            fits = [o for o in left_b if all(o[i] == item[i] for i in range(3) if rule[i])]
            if fits:
                left_a.remove(item)
                left_b.remove(fits[0])
                paired += 1
        counts.append(paired)
    same, relabelled, moved, both = counts
    return [same, len(left_b), len(left_a), relabelled + both, moved + both]


@settings(deadline=None)
@given(ITEMS, ITEMS)
def test_any_change_is_what_a_plain_count_says(
    a: list[tuple[int, int, int]], b: list[tuple[int, int, int]]
) -> None:
    diff = diff_images(images_of(a), images_of(b), CLASSES)
    assert summary(diff) == plain_diff(a, b)
    for (of_a, of_b), column, name in ((diff.relabelled, 2, "labels"), (diff.moved, 1, "splits")):
        for i, j in zip(of_a, of_b, strict=True):
            assert a[i][0] == b[j][0]
            assert a[i][column] != b[j][column], name
    gone_a = [*diff.removed, *diff.relabelled[0], *diff.moved[0]]
    assert len(set(gone_a)) + diff.unchanged == len(a)
    surplus = Counter(item[0] for item in a)
    surplus.subtract(item[0] for item in b)
    assert len(diff.removed) == sum(count for count in surplus.values() if count > 0)


@settings(deadline=None)
@given(ITEMS, ITEMS)
def test_the_tables_add_up(a: list[tuple[int, int, int]], b: list[tuple[int, int, int]]) -> None:
    diff = diff_images(images_of(a), images_of(b), CLASSES)
    for row in count_by_split(diff):
        change = row["added"] - row["removed"] + row["moved_in"] - row["moved_out"]
        assert row["b"] - row["a"] == change
    for row in count_by_class(diff):
        change = row["added"] - row["removed"] + row["relabelled_to"] - row["relabelled_from"]
        assert row["b"] - row["a"] == change
    assert sum(row["images"] for row in count_relabelled(diff)) == len(diff.relabelled[0])
    assert sum(row["images"] for row in count_moved(diff)) == len(diff.moved[0])
    assert len(list_changes(diff, 1)) == sum(count > 0 for count in summary(diff)[1:])


def test_labels_are_compared_by_name() -> None:
    parts = make_parts()
    names = ["right", "middle", "left"]
    turned = {split: (x, (2 - y).astype(np.uint8)) for split, (x, y) in parts.items()}
    section = describe(parts, turned, (revision("a"), revision("b", names)))
    assert section.data["unchanged"] == 105
    assert "The classes are the same in another order." in section.answer[-1]


def test_other_classes_are_named() -> None:
    parts = make_parts()
    names = ["left", "centre", "right", "[red]above"]
    section = describe(parts, parts, (revision("a"), revision("b", names)))
    assert section.data["relabelled_pairs"] == [{"a": "middle", "b": "centre", "images": 35}]
    assert section.answer[-1] == (
        "The classes differ: A has 3 classes, of which middle is in A alone; B has 4 classes, of "
        "which centre, [red]above are in B alone. Labels are compared by the names of their "
        "classes."
    )


def test_the_same_images_in_another_order_are_no_change() -> None:
    parts = make_parts()
    mixed = {split: (x[::-1], y[::-1]) for split, (x, y) in parts.items()}
    section = describe(parts, mixed)
    assert section.answer == [
        "Both have the same images with the same labels in the same splits, in another order."
    ]
    assert section.drawable is None


@pytest.mark.parametrize(
    ("shape", "words"), [((6, 4), "6 x 4 pixels in grey"), ((5, 4, 3), "5 x 4 pixels in colour")]
)
def test_images_of_another_size_or_colour_were_read_anew(
    shape: tuple[int, ...], words: str
) -> None:
    a = make_parts()
    b = {split: (np.zeros((len(y), *shape), np.uint8), y) for split, (_, y) in a.items()}
    section = describe(a, b)
    (said,) = section.answer
    assert said == (
        f"Every image was read anew: 5 x 4 pixels in grey in A, {words} in B. Their pixels say "
        "nothing of which are the same, so numbers alone are compared."
    )
    assert section.data["splits"][0] == {"split": "train", "a": 60, "b": 60}
    assert not section.data.keys() & {"added", "removed"}
    assert section.drawable is None
    assert [table.header for table in section.tables] == [["split", "A", "B"], ["class", "A", "B"]]


def test_images_read_in_another_way_are_explained() -> None:
    a, b = make_parts(), make_parts(seed=9)
    other = revision("b", **{"dataset.yaml:images.fit": "stretch"})
    (note,) = describe(a, b, (revision("a"), other)).notes
    assert "No image of A is in B, pixel by pixel." in note
    assert "how images are read differs: dataset.yaml:images.fit." in note
    assert describe(a, change_parts(a)).notes == []


def make_page(section: DataSection) -> Page:
    return Page("Data", None, section.answer, section.tables, section.notes, section.data)


def test_a_page_of_data_fits_into_eighty_characters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    a = make_parts()
    page = make_page(describe(a, change_parts(a)))
    print_page(page)
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines())) <= 80
    assert "…" not in output
    assert re.search(r"^train +60 +54 +2 +3 +4 +0 +5$", output, re.MULTILINE)
    assert re.search(r"^left +35 +\d+ +0 +1 +3 +2 +", output, re.MULTILINE)
    assert re.search(r"^left +middle +3$", output, re.MULTILINE)
    assert json.loads(as_json(page))["verdict"] is None


def test_a_page_of_many_classes_shows_those_that_changed_most() -> None:
    names = [f"class {number}" for number in range(200)]
    labels = (np.arange(400) % 200).astype(np.uint8)
    x = np.random.default_rng(0).integers(0, 256, (400, 5, 4), dtype=np.uint8)
    flipped = ((labels + 1) % 200).astype(np.uint8)
    parts = {split: (x[i::3], labels[i::3]) for i, split in enumerate(SPLITS)}
    other = {split: (x[i::3], flipped[i::3]) for i, split in enumerate(SPLITS)}
    section = describe(parts, other, (revision("a", names), revision("b", names)))
    _, of_classes, pairs = section.tables
    assert (len(of_classes.rows), len(pairs.rows)) == (40, 20)
    assert "the 40 of 200 that changed most" in of_classes.title
    assert pairs.title == "Relabelled: 20 of 200 pairs"
    assert len(section.data["classes"]) == len(section.data["relabelled_pairs"]) == 200


HOSTILE = ["[red]a|b", "<unk> $x_2^$", "{} a name that is much longer than an image is wide"]


@pytest.mark.parametrize("colour", [False, True])
def test_the_figure_shows_each_kind(colour: bool) -> None:
    a = make_parts(colour)
    b = change_parts(a, colour)
    revisions = revision("a", HOSTILE), revision("$b", HOSTILE)
    diff = describe(a, b, revisions).diff
    assert diff
    arrays = [{split: x for split, (x, _) in parts.items()} for parts in (a, b)]
    with mpl.rc_context():
        draw_as_written(HOSTILE)
        figure = draw_data_changes(*revisions, diff, *arrays)
        figure.savefig(io.BytesIO(), dpi=20)
        texts = figure.findobj(Text)
        assert not any(text.get_parse_math() for text in texts)
    words = [text.get_text() for text in texts]
    for title in ("Relabelled: 6 images", "Moved to another split: 5 images", "Removed: 3 images",
                  "Added: 2 images"):  # fmt: skip
        assert title in words
    assert "x_train[20]\n→ x_validation[30]" in words
    assert sum(text == "A: [red]a|b\nB: <unk> $x_2^$" for text in words) == 3
    shown = [image for axes in figure.findobj(mpl.axes.Axes) for image in axes.get_images()]
    assert len(shown) == 6 + 5 + 3 + 2
    assert np.array_equal(shown[11].get_array(), a["train"][0][30])  # removed: as A has it
    assert np.array_equal(shown[14].get_array(), b["train"][0][0])


def test_a_kind_of_which_there_is_none_is_left_out() -> None:
    a = make_parts()
    fewer = a | {"train": tuple(array[1:] for array in a["train"])}
    diff = describe(a, fewer).diff
    assert diff
    arrays = [{split: x for split, (x, _) in parts.items()} for parts in (a, fewer)]
    figure = draw_data_changes(revision("a"), revision("b"), diff, *arrays)
    words = [text.get_text() for text in figure.findobj(Text)]
    assert "Removed: 1 image" in words
    assert not any("Added" in text or "Relabelled" in text for text in words)


def test_examples_are_of_all_classes() -> None:
    labels = np.repeat(np.arange(8), 100)
    chosen = choose_evenly(np.arange(800), labels)
    assert len(chosen) == MOST_IMAGES
    assert set(labels[chosen]) == set(range(8))


@pytest.mark.parametrize("shape", [(7, 5, 4), (7, 5, 4, 3)])
def test_a_hash_is_that_of_the_pixels_alone(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """However many fit into a block, from memory or from a file."""
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    images[6] = images[2]
    hashes = hash_images(images)
    assert len(set(hashes.tolist())) == 6
    assert hashes[6] == hashes[2]
    monkeypatch.setattr("tools.shared.contents.BLOCK", 100)
    np.save(tmp_path / "x.npy", images)
    mapped = np.asarray(np.load(tmp_path / "x.npy", mmap_mode="r"))
    assert hash_images(mapped).tolist() == hashes.tolist()
    changed = images.copy()
    changed[0].flat[0] ^= 1
    assert (hash_images(changed) == hashes).tolist() == [False] + 6 * [True]
    assert len(hash_images(images[:0])) == 0


# --- Images that several test sets have in common -------------------------------------------------


def make_contents(items: list[tuple[int, int]]) -> Contents:
    """A test set of (content, label)."""
    hashes = np.array([f"{content:016}" for content, _ in items], "S16")
    return Contents(hashes, np.array([label for _, label in items], np.uint8), (5, 4))


def test_common_images_have_the_same_label_and_trained_no_model() -> None:
    a = make_contents([(1, 0), (2, 1), (3, 2), (4, 0), (5, 1), (6, 0), (6, 0)])
    b = make_contents([(6, 0), (5, 2), (4, 0), (2, 1), (7, 0), (1, 0)])
    trained_on = [make_contents([(9, 0), (4, 1)]).hashes, make_contents([(8, 0)]).hashes]
    common = find_common([a, b], trained_on)
    assert [rows.tolist() for rows in common.rows] == [[0, 1, 5], [5, 3, 0]]
    assert common.counts == [7, 6]
    assert common.left_out == [
        {"trained_on": 1, "other_label": 1, "absent": 2},
        {"trained_on": 1, "other_label": 1, "absent": 1},
    ]
    assert list_reasons(common.left_out[0]) == (
        "1 that a model was trained on, 1 with another label elsewhere, 2 absent elsewhere"
    )


TESTED = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), max_size=10)


@settings(deadline=None)
@given(st.lists(TESTED, min_size=2, max_size=4), st.sets(st.integers(0, 5), max_size=2))
def test_common_images_are_those_of_a_plain_count(
    sets: list[list[tuple[int, int]]], seen: set[int]
) -> None:
    trained_on = make_contents([(content, 0) for content in seen]).hashes
    common = find_common([make_contents(items) for items in sets], [trained_on])
    expected = Counter(item for item in sets[0] if item[0] not in seen)
    for items in sets[1:]:
        expected &= Counter(items)
    chosen = [[items[row] for row in rows] for items, rows in zip(sets, common.rows, strict=True)]
    assert all(found == chosen[0] for found in chosen)
    assert Counter(chosen[0]) == expected
    assert all(len(set(rows.tolist())) == len(rows) for rows in common.rows)
    for items, rows, left_out in zip(sets, common.rows, common.left_out, strict=True):
        assert len(rows) + sum(left_out.values()) == len(items)


def test_too_few_common_images_are_refused() -> None:
    items = [(number, 0) for number in range(10)]
    enough = find_common([make_contents(items), make_contents(items[:FEWEST_IMAGES])], [])
    refuse_too_few(enough, ["a", "b"], "test")
    few = find_common([make_contents(items), make_contents(items[: FEWEST_IMAGES - 1])], [])
    with pytest.raises(UserError, match=r"expected 4 test images or more .* found 3") as error:
        refuse_too_few(few, ["a", "b"], "test")
    assert "a: 10 images; left out: 7 absent elsewhere" in str(error.value)
    assert "b: 3 images; left out: none" in str(error.value)


def test_equal_values_pair_in_their_order() -> None:
    a, b = np.array([5, 7, 5, 5, 9]), np.array([5, 9, 5, 3])
    assert [rows.tolist() for rows in pair_equal([a, b])] == [[0, 2, 4], [0, 2, 1]]
    assert [len(rows) for rows in pair_equal([a, b[:0]])] == [0, 0]
