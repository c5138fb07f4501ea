"""How the images of two revisions differ, by their contents: pure functions of arrays."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice, repeat
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tools.shared.contents import Contents, Hashes, Indices, number_jointly, pair_equal
from tools.shared.paths import SPLITS

Row = dict[str, Any]
Numbers = npt.NDArray[np.integer[Any]]


class Images(NamedTuple):
    """All images of a revision, split after split: arrays (count,)."""

    hashes: Hashes
    splits: Numbers  # index into SPLITS
    rows: Numbers  # in the arrays of the split
    labels: Numbers  # index into the names of both revisions' classes


class DataDiff(NamedTuple):
    """Which images differ; an image that was relabelled and moved stands under both."""

    names: list[str]  # of the classes of A, then those that B alone has
    a: Images
    b: Images
    unchanged: int
    removed: Indices  # in a
    added: Indices  # in b
    relabelled: tuple[Indices, Indices]  # the same images in a and in b
    moved: tuple[Indices, Indices]

    @property
    def is_empty(self) -> bool:
        return not any(map(len, (self.removed, self.added, self.relabelled[0], self.moved[0])))


def join_names(a: list[str], b: list[str]) -> list[str]:
    return list(dict.fromkeys([*a, *b]))


def join_splits(parts: Mapping[str, Contents], classes: list[str], names: list[str]) -> Images:
    """The images of all splits, their labels as numbers of `names` instead of `classes`."""
    numbers = np.array([names.index(name) for name in classes], np.intp)
    counts = [len(parts[split].hashes) for split in SPLITS]
    return Images(
        np.concatenate([parts[split].hashes for split in SPLITS]),
        np.repeat(np.arange(len(SPLITS)), counts),
        np.concatenate([np.arange(count) for count in counts]),
        numbers[np.concatenate([parts[split].labels.astype(np.intp) for split in SPLITS])],
    )


def diff_images(a: Images, b: Images, names: list[str]) -> DataDiff:
    """What became of each image. Every image of A pairs with at most one of B, and of equal pixels.

    Of several equal images those with the same split and label pair first, then those in the same
    split, then those with the same label, then the others. What is left was removed or added.
    """
    contents = dict(zip("ab", number_jointly([a.hashes, b.hashes]), strict=True))
    left = {"a": np.arange(len(a.hashes)), "b": np.arange(len(b.hashes))}
    pairs: list[tuple[Indices, Indices]] = []
    for splits_count, labels_count in [(True, True), (True, False), (False, True), (False, False)]:
        keys = []
        for side, images in (("a", a), ("b", b)):
            key = contents[side] * len(SPLITS) + images.splits * splits_count
            key = key * len(names) + images.labels * labels_count
            keys.append(key[left[side]])
        found = pair_equal(keys)
        pairs.append((left["a"][found[0]], left["b"][found[1]]))
        for side, rows in zip("ab", found, strict=True):
            left[side] = np.delete(left[side], rows)
    same, relabelled, moved, both = pairs
    return DataDiff(
        names, a, b, len(same[0]), left["a"], left["b"],
        join_pairs(relabelled, both), join_pairs(moved, both),
    )  # fmt: skip


def join_pairs(
    some: tuple[Indices, Indices], others: tuple[Indices, Indices]
) -> tuple[Indices, Indices]:
    """Pairs of both kinds, in A's order."""
    a, b = (np.concatenate(rows) for rows in zip(some, others, strict=True))
    order = np.argsort(a)
    return a[order], b[order]


def count_by_split(diff: DataDiff) -> list[Row]:
    """A row a split. B has A's images less those removed and moved out, with those added and moved
    in; relabelled ones stand where B has them.
    """
    of_a, of_b = diff.a.splits, diff.b.splits
    columns = common_columns(diff, of_a, of_b) | {
        "relabelled": of_b[diff.relabelled[1]],
        "moved_in": of_b[diff.moved[1]],
        "moved_out": of_a[diff.moved[0]],
    }
    return count_numbers("split", list(SPLITS), columns)


def count_by_class(diff: DataDiff) -> list[Row]:
    """A row a class; moved images stand where B has them."""
    of_a, of_b = diff.a.labels, diff.b.labels
    columns = common_columns(diff, of_a, of_b) | {
        "relabelled_from": of_a[diff.relabelled[0]],
        "relabelled_to": of_b[diff.relabelled[1]],
        "moved": of_b[diff.moved[1]],
    }
    return count_numbers("class", diff.names, columns)


def common_columns(diff: DataDiff, of_a: Numbers, of_b: Numbers) -> dict[str, Numbers]:
    """The number of each image that A has, that B has, that was added and that was removed.

    `of_a` and `of_b` (count,) are the numbers of all images: of their splits, or of their classes.
    """
    return {"a": of_a, "b": of_b, "added": of_b[diff.added], "removed": of_a[diff.removed]}


def count_numbers(kind: str, names: list[str], columns: Mapping[str, Numbers]) -> list[Row]:
    """A row a name: how often each column has its number."""
    counts = {key: np.bincount(numbers, minlength=len(names)) for key, numbers in columns.items()}
    return [
        {kind: name, **{key: int(of_key[index]) for key, of_key in counts.items()}}
        for index, name in enumerate(names)
    ]


def count_relabelled(diff: DataDiff) -> list[Row]:
    """How many images went from which class to which, the most frequent pair first."""
    a, b = diff.relabelled
    return count_pairs(diff.names, diff.a.labels[a], diff.b.labels[b])


def count_moved(diff: DataDiff) -> list[Row]:
    """How many images went from which split to which, the most frequent pair first."""
    a, b = diff.moved
    return count_pairs(list(SPLITS), diff.a.splits[a], diff.b.splits[b])


def count_pairs(names: list[str], a: Numbers, b: Numbers) -> list[Row]:
    times = Counter(zip(a.tolist(), b.tolist(), strict=True))
    return [
        {"a": names[old], "b": names[new], "images": count}
        for (old, new), count in sorted(times.items(), key=lambda item: (-item[1], item[0]))
    ]


def list_changes(diff: DataDiff, most: int) -> list[Row]:
    """Of each kind the first `most` images: where A and B have them, and with which label."""
    kinds: list[tuple[str, Iterable[Any], Iterable[Any]]] = [
        ("added", repeat(None), diff.added),
        ("removed", diff.removed, repeat(None)),
        ("relabelled", *diff.relabelled),
        ("moved", *diff.moved),
    ]
    return [
        {"change": kind, "a": place_of(diff, diff.a, a), "b": place_of(diff, diff.b, b)}
        for kind, of_a, of_b in kinds
        for a, b in islice(zip(of_a, of_b, strict=False), most)
    ]


def place_of(diff: DataDiff, images: Images, index: int | None) -> Row | None:
    if index is None:
        return None
    return {
        "split": SPLITS[images.splits[index]],
        "row": int(images.rows[index]),
        "class": diff.names[images.labels[index]],
    }
