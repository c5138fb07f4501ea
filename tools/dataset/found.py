"""What a look at a source finds: the images, their classes and splits, and what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stages.fetch.listing import natural_key
from tools.shared.lists import name_some

MOST_CLASSES = 1000
MOST_SHOWN = 20  # classes or files that are printed; the rest is counted
GREYS = {"1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I", "F"}  # Pillow's modes without colour


class SourceFile(NamedTuple):
    """A file or folder to bring to data/NAME: where it lies, and its name and role there."""

    role: str
    path: Path
    name: str
    is_packed: bool = False  # gzipped, to be unpacked on the way


@dataclass
class Found:
    """`classes` are in their order; `counts`, `splits`, `sizes` (height, width) count images.

    `members` counts them by label as the source has it, split and group.
    """

    source: Path
    format: dict[str, Any]
    files: list[SourceFile]
    classes: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    members: Counter[tuple[Any, str, str]] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    corners: list[float] = field(default_factory=list)  # median brightness of images' corners
    has_colour: bool = False
    transparent: int = 0
    group: str | None = None
    groups: int = 0
    is_fixed_size: bool = False  # a CSV says no size, and cannot be brought to another
    is_array: bool = False  # every image has the size of the first
    bytes: int = 0
    problems: list[str] = field(default_factory=list)  # nothing can be made of the source
    bad: list[str] = field(default_factory=list)  # images that cannot be read
    others: list[str] = field(default_factory=list)  # files that stay where they are
    notes: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    @property
    def is_counted(self) -> bool:
        """Whether dataset.yaml says how many images there are."""
        return bool(self.format["name"] == "folder")


def class_of(found: Found, label: Any) -> str:
    """The name of the class that a label of the source stands for."""
    first = found.format.get("first_label", "names")
    return str(label) if first == "names" else found.classes[int(label) - first]


def name_classes(found: Found, labels: Counter[str]) -> None:
    """Classes by name, in natural order: class 2 before class 10."""
    found.classes = sorted(labels, key=natural_key)
    found.counts = labels
    refuse_wrong_number(found)


def number_classes(found: Found, labels: Counter[int], names: list[str] | None = None) -> None:
    """Classes by number, from 0 or 1 on; `names` if the source has them."""
    first = min(labels, default=0)
    if first not in (0, 1):
        found.problems.append(f"labels begin at {first}, expected 0 or 1")
        first = 0
    if names:
        first = 0
    last = max(labels, default=0)
    if last - first >= MOST_CLASSES:
        found.problems.append(
            f"labels go up to {last}, expected at most {MOST_CLASSES:,} classes: is this the label?"
        )
        return
    found.format["first_label"] = first
    found.classes = names or [str(number) for number in range(first, last + 1)]
    if last - first >= len(found.classes):
        found.problems.append(
            f"labels go up to {last}, but the file names {len(found.classes)} classes"
        )
        return
    found.counts = Counter({found.classes[number - first]: n for number, n in labels.items()})
    if not names:
        found.notes.append("the classes are named by their numbers: write names into `classes`")
    refuse_wrong_number(found)


def refuse_wrong_number(found: Found) -> None:
    number = len(found.classes)
    if not 2 <= number <= MOST_CLASSES:
        found.problems.append(
            f"{number:,} classes, expected 2 to {MOST_CLASSES:,}: "
            + (", ".join(found.classes[:MOST_SHOWN]) or "there is no image")
        )
    empty = [name for name in found.classes if not found.counts[name]]
    if empty:
        found.problems.append(
            f"{len(empty)} classes have no image: {', '.join(empty[:MOST_SHOWN])}"
        )


def describe(found: Found) -> list[str]:
    """What was found, as lines to print."""
    kind = found.format["name"]
    layout = f", layout {found.format['layout']}" if "layout" in found.format else ""
    lines = [f"{found.source}: {found.count:,} images, format {kind}{layout}, {size(found.bytes)}"]
    shown = [f"{name} {found.counts[name]:,}" for name in found.classes]
    lines.append(f"  {len(found.classes)} classes: {name_some(shown, MOST_SHOWN)}")
    if found.sizes:
        smallest, median, largest = extremes(found.sizes)
        lines.append(
            f"  height x width: smallest {by(smallest)}, median {by(median)}, largest {by(largest)}"
        )
    if found.modes:
        modes = ", ".join(f"{mode} {n:,}" for mode, n in found.modes.most_common())
        colour = "some have colour" if found.has_colour else "none has colour"
        clear = f"; {found.transparent:,} are transparent in places" if found.transparent else ""
        lines.append(f"  colour modes: {modes}; {colour}{clear}")
    splits = ", ".join(f"{name or 'without'} {n:,}" for name, n in sorted(found.splits.items()))
    lines.append(f"  splits: {splits}" if set(found.splits) != {""} else "  splits: none")
    if found.group:
        lines.append(f"  groups: {found.groups:,} by {found.group!r}")
    if found.others:
        lines.append(f"  no images, left out: {name_some(found.others, MOST_SHOWN)}")
    return lines + [f"  {note}" for note in found.notes]


def extremes(sizes: Counter[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The sizes of the smallest and the largest image by area, between them the median sides."""
    ordered = sorted(sizes, key=lambda side: (side[0] * side[1], side))
    return ordered[0], median_size(sizes), ordered[-1]


def median_size(sizes: Counter[tuple[int, int]]) -> tuple[int, int]:
    """The median height and the median width."""
    return median(sizes, 0), median(sizes, 1)


def median(sizes: Iterable[tuple[int, int]], side: int) -> int:
    counter: Counter[int] = Counter()
    for each, number in Counter(sizes).items():
        counter[each[side]] += number
    values = sorted(counter)
    ends = np.cumsum([counter[value] for value in values])
    return values[int(np.searchsorted(ends, ends[-1] / 2))]


def by(sides: tuple[int, int]) -> str:
    return f"{sides[0]}x{sides[1]}"


def size(count: float) -> str:
    """A number of bytes for people."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError
