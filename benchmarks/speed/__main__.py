"""python -m benchmarks.speed [ROW ...]: the pipeline beside its peers, into speed.csv and a table.

Without names every row is measured. A finished row takes the place of its earlier values at once,
so that a run can be broken off and the rest measured later.
`--show` only prints the table; `--table` writes it into benchmarks/README.md.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from benchmarks.machine import ROOT, machine, versions
from benchmarks.speed.results import markdown_table, read, replace, row, terminal_table
from benchmarks.speed.rows import LIMITS, ROWS
from benchmarks.speed.workplace import Workplace
from tools.shared.command_line import make_parser
from tools.shared.marks import replace_between_marks

DOCUMENT = ROOT / "benchmarks/README.md"


def main() -> None:
    arguments = parse_arguments()
    if arguments.table:
        DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
        return
    failed = [] if arguments.show else measure(arguments)
    Console(width=None if sys.stdout.isatty() else 200).print(terminal_table(read(), LIMITS))
    if failed:
        sys.exit("not measured: " + "; ".join(failed))


def parse_arguments() -> argparse.Namespace:
    parser = make_parser("benchmarks.speed", __doc__)
    parser.add_argument(
        "rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)} (default: all)"
    )
    parser.add_argument("--runs", type=int, default=5, help="of each command (default: 5)")
    parser.add_argument(
        "--epochs", type=int, default=6, help="of a training that is timed (default: 6)"
    )
    parser.add_argument("--show", action="store_true", help="only print the table")
    parser.add_argument(
        "--table", action="store_true", help="only write the table into benchmarks/README.md"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.rows) - set(ROWS)
    if unknown:
        parser.error(f"expected rows of {', '.join(ROWS)}; found {', '.join(sorted(unknown))}")
    if arguments.runs < 1 or arguments.epochs < 2:
        parser.error("expected 1 run or more, and 2 epochs or more: the first is not counted")
    return arguments


def measure(arguments: argparse.Namespace) -> list[str]:
    """Run the rows that were asked for; what could not be measured, with the reason."""
    failed = []
    measured_on, measured_with = machine(), versions(ROOT)
    print(f"{measured_on}; {measured_with}. Edits that are not committed are not measured.")
    for name in arguments.rows or ROWS:
        print(f"{name}: {ROWS[name].__doc__}", flush=True)
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            try:
                results = ROWS[name](Workplace(Path(folder), arguments.runs, arguments.epochs))
            except (RuntimeError, LookupError, ValueError) as error:
                failed.append(f"{name} ({error})")
                continue
        replace([row(result, measured_on, measured_with) for result in results], list(LIMITS))
        print(f"  {time.monotonic() - start:.0f} s in all", flush=True)
    return failed


def with_table(document: str) -> str:
    """The document with the table of speed.csv between its marks."""
    return replace_between_marks(document, "speed", markdown_table(read(), LIMITS))


if __name__ == "__main__":
    main()
