"""From suspects to rows of corrections.csv."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stages.preprocess.corrections import Correction
from stages.preprocess.main import Selection
from stages.shared.errors import UserError
from tools.audit.folds import Float32s, Indices
from tools.shared.lists import list_some

MOST_NAMED = 20  # contradictions that a message names

Key = tuple[str, str]  # the hash of an image and its label in the source


@dataclass(frozen=True)
class Suspect:
    """An image whose label is suspect. `recorded` is what corrections.csv says of it: the new
    label, "" if it is dropped, None if it says nothing."""

    image: str  # its hash
    row: int  # of the source
    split: str
    index: int  # in the arrays of the split
    given: str
    suggested: str
    probabilities: Float32s  # (classes,)
    of_given: float
    of_suggested: float
    is_confident: bool
    recorded: str | None


def describe_suspects(
    selection: Selection,
    splits: Iterable[str],
    ranked: Indices,
    probabilities: Float32s,
    confident: Any,
    classes: list[str],
    corrections: Iterable[Correction],
    most: int,
) -> list[Suspect]:
    """The first `most` of the ranked rows of the source, equal images with equal labels once.

    `probabilities` and `confident` are of these rows.
    """
    known = {(each.image, each.old): each.new for each in corrections}
    suspects: dict[Key, Suspect] = {}
    for row, of_classes, is_confident in zip(ranked, probabilities, confident, strict=True):
        if len(suspects) == most:
            break
        split, index = find_place(selection, splits, int(row))
        image = selection.source.hash_of(int(row))
        label = int(selection.labels_of(split)[index])
        given, suggested = classes[label], classes[int(of_classes.argmax())]
        found = Suspect(
            image, int(row), split, index, given, suggested, of_classes,
            float(of_classes[label]), float(of_classes.max()), bool(is_confident),
            known.get((image, classes[int(selection.source.labels[row])])),
        )  # fmt: skip
        suspects.setdefault((image, given), found)
    return list(suspects.values())


def find_place(selection: Selection, splits: Iterable[str], row: int) -> tuple[str, int]:
    """The split of an image of the source, and its index in the arrays of that split."""
    for split in splits:
        rows = selection.rows[split]
        index = int(np.searchsorted(rows, row))
        if index < len(rows) and rows[index] == row:
            return split, index
    raise ValueError(f"image {row} of the source is in none of {splits}")


def describe_reason(suspect: Suspect) -> str:
    """The reason that a correction of this suspect gives."""
    return (
        f"tools.audit: probability {suspect.of_suggested:.3f} of {suspect.suggested}, "
        f"{suspect.of_given:.3f} of {suspect.given}"
    )


def accept_suggestions(
    suspects: list[Suspect], most: int | None, least: float | None
) -> list[Correction]:
    """Corrections by the suggestions of the first `most` suspects, or of those whose suggested
    class has a probability of `least` at least; of suspects that have no correction yet."""
    open_ones = [suspect for suspect in suspects if suspect.recorded is None]
    chosen = open_ones[:most]
    return [
        Correction(each.image, each.given, each.suggested, describe_reason(each))
        for each in chosen
        if least is None or each.of_suggested >= least
    ]


def merge_corrections(
    kept: Iterable[Correction], added: Iterable[Correction], source: str
) -> list[Correction]:
    """All corrections, sorted by image and old label; of two that say the same, the kept one.

    Raises UserError that lists those of `added` that say something else of the same image and
    label, or that would correct what a kept correction has made of it.
    """
    merged = {(each.image, each.old): each for each in kept}
    contradictions = []
    for each in added:
        known = merged.setdefault((each.image, each.old), each)
        if known.new != each.new:
            contradictions.append(
                f"{each.image} as {each.old!r}: {say(known.new)} before, {say(each.new)} now"
            )
    if contradictions:
        listed = "\n  ".join(list_some(contradictions, MOST_NAMED))
        raise UserError(
            f"{source} contradicts corrections that are there already, so nothing was written:\n"
            f"  {listed}\nRemove one of each two"
        )
    return [merged[key] for key in sorted(merged)]


def say(new: str) -> str:
    return repr(new) if new else "dropped"
