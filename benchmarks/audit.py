"""python -m benchmarks.audit: how well `python -m tools.audit` finds wrong labels, on MNIST.

First, 1 % of the labels of train and validation images are flipped by chance: recall is the share
of these that the ranking has, as far down as nine in ten of its images are flipped ones. Then the
test labels are audited: how many of those that data/mnist/corrections.csv names are among the
first 30. params.yaml must have `dataset: mnist`; `dvc repro fetch` brings the data.
"""

import csv
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.flips import flip_labels, recall_of_flips, say_recall
from benchmarks.machine import machine
from stages.preprocess.main import Selection
from stages.run.failures import failures_in_one_line
from stages.run.params import read_sections
from stages.run.stage import TEMPORARY
from stages.shared.errors import UserError
from tools.audit.__main__ import FOLDS
from tools.audit.run import LEARNT_FROM, Audit, read_selection, rows_of, run_audit
from tools.audit.suspects import rank_suspects
from tools.shared.command_line import make_parser

FIRST = 30  # suspects that a person looks at
CORRECTIONS = Path("data/mnist/corrections.csv")


def main() -> None:
    parser = make_parser("benchmarks.audit", __doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the flips; default: 0")
    parser.add_argument("--folds", type=int, default=FOLDS, help=f"default: {FOLDS}")
    parser.add_argument("--only-flips", action="store_true", help="leave the test labels out")
    asked = parser.parse_args()
    with failures_in_one_line("audit"):
        sections = read_sections()
        if sections["dataset"].folder != "mnist":
            raise UserError("expected `dataset: mnist` in params.yaml")
        selection = read_selection(sections)
        measure_flips(sections, selection, asked.seed, asked.folds)
        if not asked.only_flips:
            measure_known(sections, selection, asked.folds)
    print(machine())


def measure_flips(sections: Any, selection: Selection, seed: int, folds: int) -> None:
    learnt, classes = rows_of(selection, LEARNT_FROM), len(sections["dataset"].classes)
    labels, flipped = flip_labels(selection.labels, learnt, classes, seed)
    audit, seconds = measure(sections, replace(selection, labels=labels), False, folds)
    ranked = audit.rows[rank_suspects(audit.of_kinds, audit.labels)]
    print(f"flips, seed {seed}: {say_recall(recall_of_flips(ranked, flipped))}, {seconds:.0f} s")


def measure_known(sections: Any, selection: Selection, folds: int) -> None:
    with CORRECTIONS.open(encoding="utf-8", newline="") as file:
        known = {row["image"] for row in csv.DictReader(file)}
    audit, seconds = measure(sections, selection, True, folds)
    ranked = audit.rows[rank_suspects(audit.of_kinds, audit.labels)]
    found = [selection.source.hash_of(int(row)) in known for row in ranked]
    print(
        f"test labels: {sum(found[:FIRST])} of {len(known)} known ones among the first {FIRST}, "
        f"{sum(found[: 2 * FIRST])} among the first {2 * FIRST}, {seconds:.0f} s"
    )


def measure(sections: Any, selection: Selection, of_test: bool, folds: int) -> tuple[Audit, float]:
    """An audit as the command makes it by default, and the seconds that it took."""
    start = time.perf_counter()
    folder = TEMPORARY / "benchmark_of_audit" / ("test" if of_test else "others")
    audit = run_audit(sections, selection, of_test, "light", None, folds, folder)
    sys.stdout.flush()
    return audit, time.perf_counter() - start


if __name__ == "__main__":
    main()
