"""Image files of any format: decoded once, on all cores, and kept for the next run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from stages.preprocess.decoding import decode_all
from stages.preprocess.sizes import shape_of
from stages.preprocess.source import Numbers, Pixels, Rows, Source
from stages.preprocess.store import open_store
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from stages.run.params import Dataset


@dataclass(frozen=True)
class Encoded:
    """Image files by number. `digests` (count, 32) are the SHA-256 of their contents.

    `read_contents` gives the contents of rows in rising order; the rest is as in Source.
    """

    labels: Numbers
    splits: Pixels
    groups: Numbers | None
    digests: Pixels
    read_contents: Callable[[Sequence[int]], Iterator[bytes]]
    name_of: Callable[[int], str]


def decode_source(encoded: Encoded, dataset: Dataset, cache: Path) -> Source:
    """Every image decoded; what an earlier run has decoded comes from the folder `cache`.

    Raises UserError that lists every bad image, unless skip_bad leaves them out.
    """
    with open_store(cache, shape_of(dataset.images), vars(dataset.images)) as store:
        places = store.find(encoded.digests)
        known = np.count_nonzero(places >= 0)
        lacking = first_of_each(encoded.digests, np.flatnonzero(places < 0))
        reasons: dict[bytes, str] = {}
        if len(lacking):
            store.refuse_full_disk(len(lacking))
            contents = encoded.read_contents(lacking.tolist())
            for rows, pixels, bad in decode_all(lacking.tolist(), contents, dataset.images):
                store.append(encoded.digests[rows], pixels)
                reasons |= {encoded.digests[row].tobytes(): reason for row, reason in bad.items()}
            absent = np.flatnonzero(places < 0)
            places[absent] = store.find(encoded.digests[absent])
        print(
            f"{len(lacking):,} images decoded, {known:,} known from before; all are "
            f"kept in {store.folder}"
        )
        good = np.flatnonzero(places >= 0)
        lost = "decoded, but its pixels are not in the store; run again"
        if len(good) < len(places):
            bad_rows = np.flatnonzero(places < 0)
            report_bad(
                [
                    f"{encoded.name_of(int(row))}: "
                    f"{reasons.get(encoded.digests[row].tobytes(), lost)}"
                    for row in bad_rows
                ],
                len(places),
                dataset.skip_bad,
            )
        return Source(
            Rows([store.pixels()], places[good]),
            encoded.labels[good],
            encoded.splits[good],
            None if encoded.groups is None else encoded.groups[good],
            lambda row: encoded.name_of(int(good[row])),
            lambda rows: encoded.digests[good[rows]],
        )


def first_of_each(digests: Pixels, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """The first of these rows for each content, in rising order."""
    _, first = np.unique(digests[rows].view("V32").ravel(), return_index=True)
    return rows[np.sort(first)]


def report_bad(lines: list[str], count: int, skip_bad: bool) -> None:
    """Say which images are left out. Raises UserError instead, unless skip_bad allows it."""
    title = f"{len(lines):,} of {count:,} images are bad"
    listed = "\n  ".join(lines)
    if not skip_bad or len(lines) == count:
        raise UserError(
            f"{title}:\n  {listed}\nReplace or remove them, or set `skip_bad: true` in "
            "dataset.yaml, which leaves them out and counts them"
        )
    print(f"{title} and left out, as skip_bad says:\n  {listed}")
