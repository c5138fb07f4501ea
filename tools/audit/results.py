"""What an audit leaves: tables, the page, and corrections."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stages.preprocess.corrections import Correction, correct_labels, read_corrections
from stages.preprocess.main import Selection, read_source
from stages.run.params import read_sections
from stages.run.stage import TEMPORARY
from stages.shared.atomic_write import atomic_write
from tools.audit.decisions import (
    Suspect,
    accept_suggestions,
    describe_suspects,
    find_place,
    merge_corrections,
)
from tools.audit.folds import Images, Indices
from tools.audit.near_duplicates import Nearest, find_nearest_images
from tools.audit.page import (
    MOST_PAIRS,
    PIXEL_ART_SIDE,
    compose_page,
    describe_suspect,
    encode_image,
)
from tools.audit.run import LEARNT_FROM, RAW, Audit, corrections_of
from tools.audit.suspects import is_confident_error, rank_suspects
from tools.shared.corrections import write_corrections
from tools.shared.csv_files import write_csv
from tools.shared.paths import AUDIT

DUPLICATES = AUDIT / "near_duplicates.csv"
COMMAND = "python -m tools.audit"
SUSPECT_COLUMNS = [
    "rank", "image", "split", "index", "given", "suggested", "p_given", "p_suggested",
    "confident", "corrected",
]  # fmt: skip
PAIR_COLUMNS = [
    "similarity", "image", "split", "index", "like_image", "like_split", "like_index",
]  # fmt: skip


@dataclass(frozen=True)
class PlacedImage:
    image: str  # its hash
    split: str
    index: int  # in the arrays of the split
    row: int  # of the source


class Pair(NamedTuple):
    """A near-duplicate: a held-out image and the most alike one of another split."""

    similarity: float
    held_out: PlacedImage
    other: PlacedImage


def write_results(audit: Audit, most: int, duplicate: float) -> None:
    """Write the tables and the page, and say where they are."""
    count, suspects = find_suspects(audit, most)
    pairs = find_pairs(audit, duplicate)
    prefix = "test_" if "test" in audit.splits else ""
    page, table = AUDIT / f"{prefix}suspects.html", AUDIT / f"{prefix}suspects.csv"
    write_csv(table, SUSPECT_COLUMNS, suspect_rows(suspects))
    write_csv(DUPLICATES, PAIR_COLUMNS, pair_rows(pairs))
    with atomic_write(page) as file:
        file.write(make_page(audit, suspects, pairs, count).encode())
    print(*describe_results(audit, suspects, pairs, count), sep="\n")
    print(f"{table} lists them. To decide on each, open {page} in a browser.")


def accept_suspects(audit: Audit, most: int, first: int | None, least: float | None) -> None:
    """Correct the first suspects, or those of a probability, as they suggest."""
    _, suspects = find_suspects(audit, most)
    add_corrections(audit.dataset, accept_suggestions(suspects, first, least), "--accept")


def apply_file(path: Path) -> None:
    """Merge corrections of a file, as the page gives them, into those of the present data set.

    Raises UserError, and writes nothing, if a row is wrong, fits no image, or contradicts another.
    """
    dataset = read_sections()["dataset"]
    stated = read_corrections(path, dataset.classes)
    source = read_source(RAW, dataset, TEMPORARY / "audit")
    correct_labels(source, stated, dataset.classes, path)
    add_corrections(dataset, list(stated.values()), str(path))


def add_corrections(dataset: Any, added: list[Correction], source: str) -> None:
    path = corrections_of(dataset.folder)
    kept = list(read_corrections(path, dataset.classes).values())
    merged = merge_corrections(kept, added, source)
    new = len(merged) - len(kept)
    if new:
        write_corrections(path, merged)
    print(
        f"{path}: {new:,} corrections added, {len(added) - new:,} were there already, "
        f"{len(merged):,} in all"
    )
    if new:
        print(f"`git diff {path}` shows them, `dvc repro` runs with them")


def find_suspects(audit: Audit, most: int) -> tuple[int, list[Suspect]]:
    """How many labels are suspect, and the `most` suspect ones."""
    ranked = rank_suspects(audit.of_kinds, audit.labels)
    confident = is_confident_error(audit.probabilities, audit.labels)
    classes = audit.dataset.classes
    corrections = read_corrections(corrections_of(audit.dataset.folder), classes).values()
    suspects = describe_suspects(
        audit.selection, audit.splits, audit.rows[ranked], audit.probabilities[ranked],
        confident[ranked], classes, corrections, most,
    )  # fmt: skip
    return len(ranked), suspects


def suspect_rows(suspects: Iterable[Suspect]) -> Iterable[list[object]]:
    for rank, each in enumerate(suspects, start=1):
        corrected = {None: "", "": "dropped"}.get(each.recorded, each.recorded)
        shares = [f"{value:.4f}" for value in (each.of_given, each.of_suggested)]
        place = [rank, each.image, each.split, each.index, each.given, each.suggested]
        yield [*place, *shares, "yes" if each.is_confident else "no", corrected]


def find_pairs(audit: Audit, duplicate: float) -> list[Pair]:
    """Near-duplicates, the most alike first: of test images with all others, and of validation
    images with those of train."""
    rows = audit.selection.rows
    pairs = []
    for held_out, others in (("test", LEARNT_FROM), ("validation", ("train",))):
        references = np.concatenate([rows[split] for split in others])
        nearest = read_nearest(audit, held_out, rows[held_out], references)
        for query in np.flatnonzero(nearest.similarity >= duplicate):
            pair = (rows[held_out][query], references[nearest.reference[query]])
            sides = [describe_image(audit.selection, int(row)) for row in pair]
            pairs.append(Pair(float(nearest.similarity[query]), *sides))
    return sorted(pairs, key=lambda pair: -pair.similarity)


def read_nearest(audit: Audit, held_out: str, queries: Indices, references: Indices) -> Nearest:
    """The most alike reference of each image, from an earlier audit of the same images if kept."""
    path = audit.scratch / f"nearest_{held_out}.npz"
    if not path.exists():
        print(
            f"compares {len(queries):,} {held_out} images with {len(references):,} others",
            flush=True,
        )
        pixels = audit.selection.source.pixels
        found = find_nearest_images(Images(pixels, queries), Images(pixels, references))
        with atomic_write(path) as file:
            np.savez(file, *found)
    with np.load(path) as archive:
        return Nearest(archive["arr_0"], archive["arr_1"])


def describe_image(selection: Selection, row: int) -> PlacedImage:
    split, index = find_place(selection, selection.rows, row)
    return PlacedImage(selection.source.hash_of(row), split, index, row)


def pair_rows(pairs: Iterable[Pair]) -> Iterable[list[object]]:
    for each in pairs:
        sides = [[side.image, side.split, side.index] for side in (each.held_out, each.other)]
        yield [f"{each.similarity:.4f}", *sides[0], *sides[1]]


def make_page(audit: Audit, suspects: list[Suspect], pairs: list[Pair], count: int) -> str:
    pixels, dataset = audit.selection.source.pixels, audit.dataset

    def show(row: int) -> str:
        return encode_image(pixels[np.array([row])][0])

    shown = pairs[:MOST_PAIRS]
    words = {
        "title": dataset.title,
        "dataset": dataset.folder,
        "about": f"{describe_count(audit, suspects, count)}. Nothing leaves this page, and what "
        "you decide is kept in this browser.",
        "classes": dataset.classes,
        "corrections": str(corrections_of(dataset.folder)),
        "command": f"{COMMAND} --apply",
        "file": f"{dataset.folder}-corrections.csv",
        "pixels": max(pixels.shape[:2]) <= PIXEL_ART_SIDE,
        "pairs_title": f"{len(pairs):,} near-duplicates across splits"
        + (f", the first {len(shown)}" if len(shown) < len(pairs) else ""),
        "pairs": [
            {
                "similarity": f"{each.similarity:.3f}",
                "sides": [
                    {"name": f"{side.split} {side.index}", "png": show(side.row)}
                    for side in (each.held_out, each.other)
                ],
            }
            for each in shown
        ],
    }
    described = (describe_suspect(each, show(each.row), dataset.classes) for each in suspects)
    return compose_page(words, described)


def describe_count(audit: Audit, suspects: list[Suspect], count: int) -> str:
    most = f", the first {len(suspects):,} of them here" if len(suspects) < count else ""
    judged = f"{len(audit.rows):,} {' and '.join(audit.splits)} images"
    return f"Networks see another class than the label in {count:,} of {judged}{most}"


def describe_results(
    audit: Audit, suspects: list[Suspect], pairs: list[Pair], count: int
) -> Iterable[str]:
    yield f"{describe_count(audit, suspects, count)}."
    confident = is_confident_error(audit.probabilities, audit.labels).sum()
    yield f"Confident learning counts {confident:,} of the labels as wrong."
    corrected = sum(each.recorded is not None for each in suspects)
    if corrected:
        yield f"{corrected:,} have a correction in {corrections_of(audit.dataset.folder)} already."
    yield (
        f"{len(pairs):,} near-duplicates across splits, see {DUPLICATES}"
        if pairs
        else "No near-duplicates across splits."
    )
