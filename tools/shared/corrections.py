"""Writes a data set's corrections.csv; stages/preprocess/corrections.py reads it."""

from collections.abc import Iterable
from pathlib import Path

from stages.preprocess.corrections import HEADER, Correction
from tools.shared.csv_files import write_csv


def write_corrections(path: Path, corrections: Iterable[Correction]) -> None:
    """Write the header and the corrections in their order."""
    write_csv(path, HEADER, corrections)
