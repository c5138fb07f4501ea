"""benchmarks/speed/speed.csv and its table: what was measured, beside the limits it is held to."""

import csv
import statistics
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from benchmarks.speed.measure import QUIET, Measurement, median_difference, median_ratio

CSV = Path(__file__).with_name("speed.csv")
COLUMNS = [
    *("what", "unit", "ours", "peer", "ratio", "difference"),
    *("runs", "others", "note", "machine", "versions"),
]
CsvRow = dict[str, str]


class Result(NamedTuple):
    """One thing measured on both sides; values of a pair ran one after the other."""

    what: str
    unit: str  # s, ms or MB
    ours: list[float]
    peer: list[float]
    note: str = ""
    others: float = 0.0  # processors that other processes kept busy in the worst of the runs


class Limit(NamedTuple):
    """What a result is held to: at most that ratio, or at most that difference in its unit."""

    at_most: float
    aim: float
    column: str = "ratio"


def compare(
    what: str,
    unit: str,
    ours: list[Measurement],
    peer: list[Measurement],
    value: Callable[[Measurement], float],
    note: str = "",
    times: float = 1.0,
) -> Result:
    """A result from the runs of both sides: that value of each, the peer's so many times."""
    others = max(run.others for run in [*ours, *peer])
    return Result(
        what, unit, [*map(value, ours)], [times * value(run) for run in peer], note, others
    )


def seconds(run: Measurement) -> float:
    return run.seconds


def epoch_seconds(run: Measurement) -> float:
    return run.epoch_seconds


def peak_megabytes(run: Measurement) -> float:
    """Of the largest process, mapped files included."""
    return run.peak / 1e6


def private_megabytes(run: Measurement) -> float:
    """Without mapped files: what the kernel cannot take back."""
    return run.private / 1e6


def row(result: Result, machine: str, versions: str) -> CsvRow:
    """Medians of both sides; ratio and difference are medians of the pairs'."""
    return {
        "what": result.what,
        "unit": result.unit,
        "ours": f"{statistics.median(result.ours):.3f}",
        "peer": f"{statistics.median(result.peer):.3f}",
        "ratio": f"{median_ratio(result.ours, result.peer):.3f}",
        "difference": f"{median_difference(result.ours, result.peer):.3f}",
        "runs": str(len(result.ours)),
        "others": f"{result.others:.1f}",
        "note": result.note,
        "machine": machine,
        "versions": versions,
    }


def read(path: Path = CSV) -> list[CsvRow]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def replace(new: Iterable[CsvRow], order: list[str], path: Path = CSV) -> None:
    """Put rows in the place of those of the same name, sorted as `order` names them.

    Old rows that it does not name are dropped. Raises ValueError for new ones: a row was renamed.
    """
    new = list(new)
    if unknown := [row["what"] for row in new if row["what"] not in order]:
        raise ValueError(f"expected rows that LIMITS names, found {unknown}")
    rows = {old["what"]: old for old in read(path)} | {row["what"]: row for row in new}
    place = {what: number for number, what in enumerate(order)}
    known = sorted((what for what in rows if what in place), key=place.__getitem__)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[what] for what in known)


def cells(row: CsvRow, limit: Limit | None) -> list[str]:
    """A line of the table: what, ours, peer, what it comes to, at most, aim, runs, note."""
    unit, note = row["unit"], row["note"]
    if float(row["others"]) > QUIET:
        note = f"NOT QUIET: others kept {row['others']} processors busy. {note}"
    found = {
        "ratio": f"{float(row['ratio']):.2f}",
        "difference": f"{float(row['difference']):+,.1f} {unit}",
    }
    sides = [
        f"{float(row[side]):,.{0 if unit == 'MB' else 2}f} {unit}" for side in ("ours", "peer")
    ]
    if limit is None:
        return [row["what"], *sides, found["ratio"], "", "", row["runs"], note]
    suffix = "" if limit.column == "ratio" else f" {unit}"
    limits = [f"{value:g}{suffix}" for value in (limit.at_most, limit.aim)]
    return [row["what"], *sides, found[limit.column], *limits, row["runs"], note]


HEADINGS = ["What", "Ours", "Peer", "Ours / peer", "At most", "Aim", "Runs", "Note"]


def kept(row: CsvRow, limit: Limit) -> bool:
    return float(row[limit.column]) <= limit.at_most


def terminal_table(rows: list[CsvRow], limits: dict[str, Limit]) -> Table:
    """The table for the terminal: green where the limit is kept, red where it is not."""
    table = Table(*HEADINGS)
    for line in rows:
        limit = limits.get(line["what"])
        style = None if limit is None else "green" if kept(line, limit) else "red"
        table.add_row(*cells(line, limit), style=style)
    return table


def markdown_table(rows: list[CsvRow], limits: dict[str, Limit]) -> str:
    lines = [f"| {' | '.join(HEADINGS)} |", "|:--|--:|--:|--:|--:|--:|--:|:--|"]
    lines += [f"| {' | '.join(cells(line, limits.get(line['what'])))} |" for line in rows]
    ran: dict[str, list[str]] = {}  # the commits that were measured on one machine, by all else
    for line in rows:
        commit, _, versions = line["versions"].partition(", ")
        commits = ran.setdefault(f"{line['machine']}; {versions}", [])
        commits += [commit] if commit not in commits else []
    notes = [f"Ran on {alike}; {', '.join(commits)}." for alike, commits in ran.items()]
    return "\n".join([*lines, "", *notes])
