"""python -m tools.compare [A] [B]: is B better than A, where, and can it be believed?

A and B are Git revisions, DVC experiments or `workspace`. The verdict is about two trained models.
To compare two recipes, give two groups of runs that differ in nothing but their seed:

    python -m tools.compare --group A1 A2 A3 --group B1 B2 B3
    python -m tools.compare --group 'plain-*' --group 'wide-*'
"""

import argparse
import sys
from pathlib import Path

from stages.run.failures import failures_in_one_line
from tools.compare.drawing import draw_to
from tools.compare.groups import compare_groups, list_runs
from tools.compare.page import Page, as_json, as_markdown, print_page
from tools.compare.pair import compare_pair
from tools.shared.command_line import make_parser
from tools.shared.predictions import read_predictions


def main() -> None:
    asked = parse_arguments(sys.argv[1:])
    with failures_in_one_line("compare"):
        page = make_page(asked)
        if asked.json:
            print(as_json(page))
        elif asked.md:
            print(as_markdown(page))
        else:
            print_page(page)


def make_page(asked: argparse.Namespace) -> Page:
    """The page that was asked for; draws the figure if one was."""
    if asked.group:
        groups = [list_runs(names) for names in asked.group]
        predictions = read_predictions([name for group in groups for name in group], asked.split)
        return compare_groups(predictions, len(groups[0]), asked.split)
    predictions = read_predictions([asked.a, asked.b], asked.split)
    page = compare_pair(predictions, asked.split)
    if asked.figure:
        draw_to(asked.figure, predictions, asked.split)
        page.figure = str(asked.figure)
    return page


def parse_arguments(words: list[str]) -> argparse.Namespace:
    parser = make_parser("tools.compare", __doc__)
    parser.add_argument("a", nargs="?", metavar="A", help="default: HEAD")
    parser.add_argument("b", nargs="?", metavar="B", help="default: workspace")
    parser.add_argument(
        "--group",
        nargs="+",
        action="append",
        metavar="RUN",
        help="the runs of a recipe; given twice",
    )
    parser.add_argument(
        "--split",
        choices=["validation", "test"],
        default="validation",
        help="default: validation, which decides; test is for quoting the choice made",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--md", action="store_true", help="print Markdown, as for a pull request")
    form.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--figure", type=Path, metavar="PATH", help="draw the images fixed and broken as PNG"
    )
    asked = parser.parse_args(words)
    if asked.group and (asked.a or len(asked.group) != 2 or asked.figure):
        parser.error("expected --group exactly twice, without A, B and --figure")
    if asked.figure and asked.figure.suffix != ".png":
        parser.error(f"--figure: expected a name that ends with .png, found {asked.figure}")
    asked.a, asked.b = asked.a or "HEAD", asked.b or "workspace"
    return asked


if __name__ == "__main__":
    main()
