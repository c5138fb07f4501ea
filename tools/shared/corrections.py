"""Writes a data set's corrections.csv; stages/preprocess/corrections.py reads it."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from stages.preprocess.corrections import HEADER, Correction
from stages.shared.atomic_write import atomic_write


def write_corrections(path: Path, corrections: Iterable[Correction]) -> None:
    """Write the header and the corrections in their order, as UTF-8 with LF."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(HEADER)
    rows.writerows(corrections)
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())
