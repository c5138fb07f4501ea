"""Where the seconds of a default `dvc repro` go: benchmarks/profile.csv and a table.

python -m benchmarks.profile_run [--runs N]: cold runs in new clones, by stage and part. Each part
is a difference of two readings of one clock, and together they are the whole run; nothing is
estimated but the last rows, what the training's products would take alone.
"""

import argparse
import csv
import json
import re
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.arithmetic import arithmetic
from benchmarks.clone import ROOT, Clone
from benchmarks.machine import machine, versions
from benchmarks.measure import QUIET
from benchmarks.needed import need
from benchmarks.workplace import Workplace

CSV = Path(__file__).with_name("profile.csv")
STARTED, ENDED = "stage started", "stage ended"
Parts = dict[tuple[str, str], float]  # (stage, part): seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile_run")
    parser.add_argument("--runs", type=int, default=3, help="cold runs; the medians count; 3")
    arguments = parser.parse_args()
    need("torch", "make .venv/installed-bench")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        place = Workplace(Path(folder), arguments.runs, epochs=2)
        clones = [place.fresh() for _ in range(arguments.runs)]
        parts = medians([profile(clone) for clone in clones])
        whole = sum(parts.values())
        rows = [[*key, f"{value:.3f}", f"{value / whole:.3f}"] for key, value in parts.items()]
        rows.append(["all", "", f"{whole:.3f}", "1.000"])
        rows += limit(clones[0], whole)
    with CSV.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["stage", "part", "seconds", "share", "machine", "versions"])
        writer.writerows([*line, machine(), versions(ROOT)] for line in rows)
    table = Table("Stage", "Part", "Seconds", "Share")
    largest = sorted(parts.values())[-3:]
    for stage, part, seconds, share in rows:
        style = "bold" if (stage, part) in parts and parts[stage, part] in largest else None
        table.add_row(stage, part, seconds, f"{float(share):.1%}", style=style)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def profile(clone: Clone) -> Parts:
    """One cold run; each stage says what it did, and DVC's are the times between stages."""
    say_when(clone.folder / "dvc.yaml")
    before = time.perf_counter()
    run = clone.run("dvc", "repro")
    busy = f"; others: {run.others:.1f} processors" if run.others > QUIET else ""
    print(f"  {run.seconds:.1f} s{busy}", flush=True)
    parts: Parts = {}
    left, stage, started = 0.0, "", 0.0  # since when DVC works; which stage, since when
    said: dict[str, float] = {}
    for second, line in run.lines:
        if line.startswith(STARTED):
            part = f"after {stage}: hash, cache, lock" if stage else "start, look for changes"
            parts["dvc", part] = second - left
            stage, started = line.split()[-1], second
        elif line.startswith("parts "):
            said = json.loads(line.removeprefix("parts "))
        elif line.startswith(ENDED):
            parts[stage, "start of Python"] = said["start"] - before - started
            parts |= {(stage, part): value for part, value in said["seconds"].items()}
            parts[stage, "end of Python"] = second - (said["end"] - before)
            left = second
    parts["dvc", f"after {stage}: hash, cache, lock; end"] = run.seconds - left
    return parts


def say_when(pipeline: Path) -> None:
    """Have each command of dvc.yaml say when it starts and ends, and the stage what it did."""
    text = pipeline.read_text(encoding="utf-8")
    replacement = (
        rf"cmd: echo {STARTED} \1 && python -m benchmarks.stage_parts \1\2 && echo {ENDED}"
    )
    edited, count = re.subn(r"cmd: python -m stages\.run (\w+)(.*)", replacement, text)
    if not count:
        raise ValueError(f"{pipeline}: expected commands `python -m stages.run ...`, found none")
    pipeline.write_text(edited, encoding="utf-8")


def medians(runs: list[Parts]) -> Parts:
    """Part by part, in the order in which they come in a run, DVC's own last."""
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for parts in runs:
        for key, seconds in parts.items():
            values[key].append(seconds)
    order = sorted(values, key=lambda key: key[0] == "dvc")
    return {key: statistics.median(values[key]) for key in order}


def limit(clone: Clone, whole: float) -> list[list[str]]:
    """The products of all the epochs at the machine's rate: less than that no training takes."""
    needed = arithmetic(clone)
    epochs = clone.params()["train"]["epochs"]
    rows = []
    for kind, rate in needed.rates.items():
        seconds = epochs * needed.gflop / rate
        text = f"{epochs} x {needed.gflop:,.0f} GFLOP at {rate:,.0f} GFLOP/s in {kind}"
        rows.append(["limit of fit", text, f"{seconds:.3f}", f"{seconds / whole:.3f}"])
    return rows


if __name__ == "__main__":
    main()
