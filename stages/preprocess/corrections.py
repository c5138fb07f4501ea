"""corrections.csv: labels that are wrong, by the hash of the image, and what they should be."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.preprocess.source import MOST_NAMED, Numbers, Source, split_rows
from stages.shared.errors import UserError

HEADER = ["image", "old", "new", "reason"]
DROPPED = -1  # the label of an image that a correction drops


class Correction(NamedTuple):
    """A row of corrections.csv: `image` is a SHA-256 (hex), an empty `new` drops the image."""

    image: str
    old: str
    new: str
    reason: str


def read_corrections(path: Path, classes: list[str]) -> dict[int, Correction]:
    """Each correction by the number of its line. Raises UserError that lists every wrong line."""
    found: dict[int, Correction] = {}
    first_lines: dict[tuple[str, str], int] = {}
    problems: list[str] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            header = next(rows, [])
            if header != HEADER:
                raise UserError(
                    f"{path}, line 1: expected {','.join(HEADER)}, found {','.join(header)!a}: "
                    f"correct it, or `git checkout -- {path}`"
                )
            end = rows.line_num
            for row in rows:
                line, end = end + 1, rows.line_num  # a reason may go over several lines
                if not row:
                    continue
                wrong = describe_problems(row, classes)
                if not wrong:
                    correction = Correction(*row)
                    first = first_lines.setdefault((correction.image, correction.old), line)
                    if first != line:
                        wrong = [f"the image and old label of line {first} again: keep one of them"]
                    found[line] = correction
                problems += [f"line {line}: {problem}" for problem in wrong]
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing: `git checkout -- {path}` brings it back; a new one has the line "
            f"{','.join(HEADER)}"
        ) from None
    except UnicodeDecodeError as fault:
        raise UserError(f"{path}: expected UTF-8 text: {fault}: save it as such") from None
    except csv.Error as fault:
        raise UserError(
            f"{path}, line {rows.line_num}: expected comma-separated values: {fault}"
        ) from None
    refuse_problems(path, problems)
    return found


def describe_problems(row: list[str], classes: list[str]) -> list[str]:
    """What is wrong with a row, in words."""
    if len(row) != len(HEADER):
        return [f"expected {','.join(HEADER)}, found {len(row)} values"]
    image, old, new, _ = row
    problems = []
    if not re.fullmatch("[0-9a-f]{64}", image):
        problems.append(
            f"image: expected a SHA-256, 64 digits of 0-9 and a-f, found {image[:80]!a}"
        )
    for column, name in (("old", old), ("new", new)):
        if name not in classes and not (column == "new" and not name):
            problems.append(f"{column}: expected a class of dataset.yaml, found {name[:80]!r}")
    if old == new:
        problems.append(f"new: {new[:80]!r} as before: correct or remove the line")
    return problems


def correct_labels(
    source: Source, corrections: dict[int, Correction], classes: list[str], path: Path
) -> Numbers:
    """The labels (count,) of all images, DROPPED for those that a correction drops.

    A correction changes every image that has its hash and its old label. Raises UserError that
    lists each one that changes none; `path` is for that message.
    """
    labels = source.labels.copy()
    if not corrections:
        return labels
    rows = find_images(source, {correction.image for correction in corrections.values()})
    problems = []
    for line, correction in corrections.items():
        same = rows[correction.image]
        wrong = [row for row in same if source.labels[row] == classes.index(correction.old)]
        labels[wrong] = classes.index(correction.new) if correction.new else DROPPED
        if not wrong:
            given = sorted({classes[source.labels[row]] for row in same})
            why = (
                f"its label is {', '.join(map(repr, given))}" if given else "no image has this hash"
            )
            problems.append(f"line {line}: {correction.image} as {correction.old!r}: {why}")
    refuse_problems(path, problems, "\nCorrect or remove these lines")
    dropped = int((labels == DROPPED).sum())
    changed = int((labels != source.labels).sum()) - dropped
    print(f"{path}: {changed:,} images have another label, {dropped:,} have none")
    return labels


def find_images(source: Source, hashes: set[str]) -> defaultdict[str, list[int]]:
    """The images of each of these hashes, in rising order."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    digests = {bytes.fromhex(each) for each in hashes}
    # Eight bytes find nearly all other images out, in one pass of NumPy; all thirty-two decide.
    starts = np.frombuffer(b"".join(digest[:8] for digest in digests), np.uint64)
    for rows in split_rows(np.arange(len(source.labels)), source.pixels.shape):
        block = source.digests_of(rows)
        for place in np.flatnonzero(np.isin(block[:, :8].copy().view(np.uint64), starts)):
            digest = block[place].tobytes()
            if digest in digests:
                found[digest.hex()].append(int(rows[place]))
    return found


def refuse_problems(path: Path, problems: list[str], cure: str = "") -> None:
    """Raise UserError that lists them, if there are any."""
    if problems:
        more = len(problems) - MOST_NAMED
        lines = problems[:MOST_NAMED] + ([f"and {more:,} more"] if more > 0 else [])
        count = f"{len(problems):,} problem{'s' if len(problems) > 1 else ''}"
        listed = "\n  ".join([f"{path} has {count}:", *lines])
        raise UserError(f"{listed}{cure}")
