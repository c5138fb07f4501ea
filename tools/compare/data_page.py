"""What a page says of how the data of two revisions differ."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from tools.compare.data_diff import (
    DataDiff,
    Row,
    count_by_class,
    count_by_split,
    count_moved,
    count_relabelled,
    diff_images,
    join_names,
    join_splits,
    list_changes,
)
from tools.compare.page import Page, Table, common_notes, differences_of, what_differs
from tools.shared.contents import Contents, read_contents
from tools.shared.lists import name_some
from tools.shared.paths import ARRAYS, IMAGES, SPLITS
from tools.shared.predictions import describe_shape
from tools.shared.revisions import Revision, differing_keys, read_revision
from tools.shared.stored_arrays import AbsentArraysError

MOST_CLASSES, MOST_PAIRS = 40, 20  # in the tables; --json has every one
MOST_NAMES = 10  # of classes in a sentence
MOST_LISTED = 1_000  # images of each kind in --json
READING = ("dataset.yaml:images.", "dataset.yaml:format.")  # keys that decide how one is read
READING_CODE = ("stages/fetch", "stages/preprocess", "stages/shared")
SPLIT_TITLE, CLASS_TITLE = "Images by split", "Images by class"
HEADERS = {
    "a": "A",
    "b": "B",
    "moved_in": "moved in",
    "moved_out": "moved out",
    "relabelled_from": "relabelled from",
    "relabelled_to": "relabelled to",
}
SAME_DATA = "The data of A and B are the same, bit for bit."
OTHER_ORDER = "Both have the same images with the same labels in the same splits, in another order."
LABELS_BY_NAME = "Labels are compared by the names of their classes."


@dataclass
class DataSection:
    """The part of a page that is about the data."""

    answer: list[str]  # sentences
    tables: list[Table]
    notes: list[str]
    data: Row  # the same for a machine
    diff: DataDiff | None = None  # None if nothing differs, or no image can be told by its pixels

    @property
    def drawable(self) -> DataDiff | None:
        return None if self.diff is None or self.diff.is_empty else self.diff


def read_data_revisions(names: Iterable[str]) -> list[Revision]:
    """The revisions by what preprocess made, whether they have predictions or not."""
    revisions = [read_revision(name, str(IMAGES["train"])) for name in names]
    return [replace(revision, weights=None) for revision in revisions]  # of no matter here


def have_same_data(a: Revision, b: Revision) -> bool:
    return all(a.made.get(path) == b.made.get(path) for path in ARRAYS)


def compare_data(a: Revision, b: Revision) -> tuple[Page, DataSection]:
    """The page about the data alone.

    Raises AbsentArraysError, which says how to get them, if arrays are not here.
    """
    section = describe_data(a, b)
    page = Page(
        title=f"Data of B = {b.title} against A = {a.title}",
        verdict=None,
        answer=section.answer,
        tables=[what_differs(a, b), *section.tables],
        notes=section.notes + common_notes([a, b], "train"),
        data={
            "a": {"name": a.name, "commit": a.commit},
            "b": {"name": b.name, "commit": b.commit},
            **differences_of(a, b),
            "data": section.data,
        },
    )
    return page, section


def add_data(page: Page, a: Revision, b: Revision) -> DataSection | None:
    """Say on a page about scores how the data differ, if they do. The part that was added."""
    if have_same_data(a, b):
        return None
    try:
        section = describe_data(a, b)
    except AbsentArraysError as error:
        page.notes.append(f"The data differ. How, cannot be said here: {error}")
        return None
    page.answer += section.answer
    page.tables += [table for table in section.tables if table.rows]
    page.notes += section.notes
    page.data["data"] = section.data
    return section


def describe_data(a: Revision, b: Revision) -> DataSection:
    """How the data differ. Raises AbsentArraysError if arrays are not here."""
    if have_same_data(a, b):
        return DataSection([SAME_DATA], [], [], {"same": True})
    parts = [read_contents(revision, SPLITS) for revision in (a, b)]
    return describe_contents(a, b, *parts)


def describe_contents(
    a: Revision, b: Revision, of_a: dict[str, Contents], of_b: dict[str, Contents]
) -> DataSection:
    """How the images of both revisions differ, or, of different shapes, how many they are."""
    names = join_names(a.classes, b.classes)
    diff = diff_images(
        join_splits(of_a, a.classes, names), join_splits(of_b, b.classes, names), names
    )
    splits, classes = count_by_split(diff), count_by_class(diff)
    said = describe_classes(a.classes, b.classes)
    data: Row = {"same": False, "class_names": [a.classes, b.classes]}
    shapes = of_a["train"].shape, of_b["train"].shape
    if shapes[0] != shapes[1]:
        splits, classes = (keep_totals(rows) for rows in (splits, classes))
        return DataSection(
            answer=[describe_shapes(*shapes), *said],
            tables=[count_table(SPLIT_TITLE, splits), count_table(CLASS_TITLE, classes)],
            notes=[],
            data=data | {"shapes": shapes, "splits": splits, "classes": classes},
        )
    relabelled, moved = count_relabelled(diff), count_moved(diff)
    return DataSection(
        answer=[describe_changes(diff), *describe_moves(moved), *said],
        tables=[
            count_table(SPLIT_TITLE, add_total(splits)),
            class_table([row for row in classes if count_changes(row)]),
            relabelled_table(relabelled),
        ],
        notes=explain_reading(a, b, diff),
        data=data
        | {
            "unchanged": diff.unchanged,
            "added": len(diff.added),
            "removed": len(diff.removed),
            "relabelled": len(diff.relabelled[0]),
            "moved": len(diff.moved[0]),
            "relabelled_and_moved": count_both(diff),
            "splits": splits,
            "classes": classes,
            "relabelled_pairs": relabelled,
            "moved_pairs": moved,
            "changes": list_changes(diff, MOST_LISTED),
        },
        diff=diff,
    )


def describe_shapes(a: tuple[int, ...], b: tuple[int, ...]) -> str:
    return (
        f"Every image was read anew: {describe_shape(a)} in A, {describe_shape(b)} in B. Their "
        "pixels say nothing of which are the same, so numbers alone are compared."
    )


def describe_changes(diff: DataDiff) -> str:
    """What became of A's images, and how many are new in B."""
    if diff.is_empty:
        return OTHER_ORDER
    both = count_both(diff)
    kinds = [
        (len(diff.relabelled[0]), "relabelled"),
        (len(diff.moved[0]), "moved to another split"),
        (both, "of them both"),
        (len(diff.removed), "removed"),
    ]
    changed = "".join(f", {count:,} {words}" for count, words in kinds if count)
    added = f"{len(diff.added):,} were" if len(diff.added) else "none was"
    return (
        f"Of the {len(diff.a.hashes):,} images of A, {diff.unchanged:,} are unchanged in B"
        f"{changed}; {added} added."
    )


def count_both(diff: DataDiff) -> int:
    """The images that were relabelled and moved."""
    return len(np.intersect1d(diff.relabelled[0], diff.moved[0]))


def describe_moves(moved: list[Row]) -> list[str]:
    ways = [f"{row['images']:,} from {row['a']} to {row['b']}" for row in moved]
    return [f"Moved: {', '.join(ways)}."] if ways else []


def describe_classes(a: list[str], b: list[str]) -> list[str]:
    """That the classes' names, number or order differ, if they do."""
    if a == b:
        return []
    if set(a) == set(b):
        return [f"The classes are the same in another order. {LABELS_BY_NAME}"]
    sides = [
        f"{letter} has {len(own)} classes, of which {list_names(alone)} in {letter} alone"
        for letter, own, other in (("A", a, b), ("B", b, a))
        if (alone := [name for name in own if name not in other])
    ]
    return [f"The classes differ: {'; '.join(sides)}. {LABELS_BY_NAME}"]


def list_names(names: list[str]) -> str:
    return name_some(names, MOST_NAMES) + (" are" if len(names) > 1 else " is")


def explain_reading(a: Revision, b: Revision, diff: DataDiff) -> list[str]:
    """What may have changed pixels: such an image counts as removed and as added."""
    if not (len(diff.removed) and len(diff.added)):
        return []
    keys = [key for key in differing_keys(a.params, b.params) if key.startswith(READING)]
    keys += [path for path in differing_keys(a.code, b.code) if path.startswith(READING_CODE)]
    none_is_common = len(diff.removed) == len(diff.a.hashes)
    if not (keys or none_is_common):
        return []
    said = "No image of A is in B, pixel by pixel. " if none_is_common else ""
    differs = f"What decides how images are read differs: {', '.join(keys)}. " if keys else ""
    return [f"{said}{differs}An image whose pixels changed counts as removed and as added."]


def keep_totals(rows: list[Row]) -> list[Row]:
    return [{key: row[key] for key in [*row][:3]} for row in rows]  # name, a, b


def count_changes(row: Row) -> int:
    """How often a row of counts says that an image changed."""
    return sum([*row.values()][3:])  # after name, a, b


def add_total(rows: list[Row]) -> list[Row]:
    name, *keys = rows[0]
    return [*rows, {name: "all", **{key: sum(row[key] for row in rows) for key in keys}}]


def class_table(rows: list[Row]) -> Table:
    """The classes that changed, or of very many those that changed most, in the classes' order."""
    if len(rows) <= MOST_CLASSES:
        return count_table(CLASS_TITLE, rows)
    order = sorted(range(len(rows)), key=lambda index: -count_changes(rows[index]))
    title = f"{CLASS_TITLE}: the {MOST_CLASSES} of {len(rows):,} that changed most"
    return count_table(title, [rows[index] for index in sorted(order[:MOST_CLASSES])])


def count_table(title: str, rows: list[Row]) -> Table:
    """A table of counts, without columns of nothing but 0."""
    keys = [
        key
        for place, key in enumerate(rows[0] if rows else [])
        if place < 3 or any(row[key] for row in rows)
    ]
    header = [HEADERS.get(key, key) for key in keys]
    return Table(title, header, [[format_cell(row[key]) for key in keys] for row in rows])


def format_cell(value: str | int) -> str:
    return value if isinstance(value, str) else f"{value:,}"


def relabelled_table(pairs: list[Row]) -> Table:
    title = "Relabelled"
    if len(pairs) > MOST_PAIRS:
        title = f"{title}: {MOST_PAIRS} of {len(pairs):,} pairs"  # no wider than the table
    rows = [[row["a"], row["b"], f"{row['images']:,}"] for row in pairs[:MOST_PAIRS]]
    return Table(title, ["label in A", "label in B", "images"], rows)
