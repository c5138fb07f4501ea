"""What a folder, a zip or a tar of images holds: each image with its class, split and group.

Nothing is decoded. Every problem that can be seen without that is collected, not only the first.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate, takewhile
from operator import and_
from pathlib import PurePosixPath
from typing import NamedTuple

from stages.fetch.containers import Container, File

# What people call the splits; the names of the first ones are the project's.
SPLITS = {
    "train": "train", "training": "train",
    "validation": "validation", "val": "validation", "valid": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
TABLE = "labels.csv"
# A file of another suffix outside the classes' folders is a licence or a readme, and no image.
IMAGE_SUFFIXES = {
    *(".png", ".jpg", ".jpeg", ".jpe", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".ppm"),
    *(".pgm", ".pbm", ".pnm", ".ico", ".jp2", ".avif", ".tga"),
}


class Entry(NamedTuple):
    """An image file; `split` and `group` are "" where the source says none."""

    path: str
    label: str
    split: str
    group: str
    file: File


@dataclass
class Listing:
    layout: str  # classes | splits | labels.csv
    entries: list[Entry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)  # files that are no images, such as a licence

    def leave_out(self, path: str, reason: str) -> None:
        """A file in no class: a problem if its name is an image's."""
        if has_suffix_of_image(path):
            self.problems.append(f"{path}: {reason}")
        else:
            self.others.append(path)


def has_suffix_of_image(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES


def list_images(container: Container) -> Listing:
    """The images of a container, sorted by path, so that no file system's order matters."""
    problems: list[str] = []
    files = sorted(container.list_files(problems), key=lambda file: file.path)
    wrapper = common_folder([file.path for file in files])
    listing = Listing("classes", problems=problems)
    inside = {
        file.path.removeprefix(wrapper): file for file in files if file.path.startswith(wrapper)
    }
    listing.others += [file.path for file in files if not file.path.startswith(wrapper)]
    if TABLE in inside:
        listing.layout = TABLE
        list_by_table(container, inside, listing)
    else:
        list_by_folders(inside, listing)
    refuse_equal_names({entry.label for entry in listing.entries}, listing.problems)
    listing.problems += [
        f"{entry.path}: an empty file" for entry in listing.entries if entry.file.size == 0
    ]
    return listing


def common_folder(paths: list[str]) -> str:
    """The folder that holds all images, as archives often have one; "" if there is none.

    There are two classes at least, so this is no class; a folder named like a split is none either.
    """
    told = [path for path in paths if has_suffix_of_image(path) or path.endswith(TABLE)]
    parts = (path.split("/")[:-1] for path in told or paths)
    common = next(parts, [])
    for folders in parts:
        same = (one == other for one, other in zip(common, folders, strict=False))
        common = [name for name, is_same in zip(common, accumulate(same, and_), strict=False)
                  if is_same]  # fmt: skip
    outer = takewhile(lambda name: name.lower() not in SPLITS, common)
    return "".join(f"{name}/" for name in outer)


def list_by_folders(inside: dict[str, File], listing: Listing) -> None:
    """Entries from CLASS/image, or from SPLIT/CLASS/image, if top folders are named so."""
    tops = {path.split("/")[0].lower() for path in inside if "/" in path}
    depth = 1 if tops and tops <= set(SPLITS) else 0
    listing.layout = "splits" if depth else "classes"
    for path, file in inside.items():
        folders = path.split("/")[:-1]
        if len(folders) <= depth:
            where = "SPLIT/CLASS/" if depth else "CLASS/"
            listing.leave_out(path, f"in no folder of a class, expected {where}image")
            continue
        split = SPLITS[folders[0].lower()] if depth else ""
        listing.entries.append(Entry(path, one_form(folders[depth]), split, "", file))


def list_by_table(container: Container, inside: dict[str, File], listing: Listing) -> None:
    """Entries from labels.csv: the columns file and label, and if it has them split and group."""
    rows = list(read_table(container.read(inside.pop(TABLE)), listing.problems))
    seen: set[str] = set()
    for path, label, split, group in rows:
        if path in seen:
            listing.problems.append(f"{TABLE}: {path}: listed twice")
        elif path not in inside:
            listing.problems.append(f"{TABLE}: {path}: no such file")
        elif split and split.lower() not in SPLITS:
            listing.problems.append(
                f"{TABLE}: {path}: split {split!r}, expected train, validation or test"
            )
        else:
            known = SPLITS.get(split.lower(), "")
            listing.entries.append(Entry(path, one_form(label), known, group, inside[path]))
        seen.add(path)
    for path in inside:
        if path not in seen:
            listing.leave_out(path, f"not in {TABLE}")
    listing.entries.sort()


def read_table(content: bytes, problems: list[str]) -> Iterator[tuple[str, str, str, str]]:
    """Rows of labels.csv: file, label, split, group."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        problems.append(f"{TABLE}: expected UTF-8 text: {fault}")
        return
    table = csv.DictReader(io.StringIO(text, newline=""))
    try:
        yield from read_rows(table, problems)
    except csv.Error as fault:
        problems.append(f"{TABLE}, line {table.line_num}: {fault}")


def read_rows(
    table: csv.DictReader[str], problems: list[str]
) -> Iterator[tuple[str, str, str, str]]:
    names = list(table.fieldnames or [])
    columns = set(names)
    known = {"file", "label", "split", "group"}
    if not {"file", "label"} <= columns or columns - known or len(columns) < len(names):
        found = ", ".join(names) or "none"
        problems.append(
            f"{TABLE}: expected the columns file, label and, if there are any, split, group; "
            f"found {found}"
        )
        return
    for row in table:
        if None in row or None in row.values() or not row["label"].strip():
            problems.append(f"{TABLE}, line {table.line_num}: expected a value for each column")
            continue
        yield row["file"], row["label"], row.get("split", ""), row.get("group", "")


def one_form(name: str) -> str:
    """The name in Unicode's composed form: macOS may have written an accent apart."""
    return unicodedata.normalize("NFC", name)


def refuse_equal_names(labels: set[str], problems: list[str]) -> None:
    """Classes that only case tells apart would be one on the next person's disk."""
    by_folded: dict[str, list[str]] = {}
    for label in sorted(labels):
        by_folded.setdefault(label.casefold(), []).append(label)
    problems += [
        f"{' and '.join(names)}: classes whose names differ in case only"
        for names in by_folded.values()
        if len(names) > 1
    ]


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sorts class 2 before class 10."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
