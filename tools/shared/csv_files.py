"""CSV files that tools write: UTF-8, LF, complete or not at all."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from stages.shared.atomic_write import atomic_write


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())
