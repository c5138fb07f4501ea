"""python -m tools.compare [A] [B]: is B better than A, where, and can it be believed?

A and B are Git revisions, DVC experiments or `workspace`. The verdict is about two trained models.
To compare two recipes, give two groups of runs that differ in nothing but their seed:

    python -m tools.compare --group A1 A2 A3 --group B1 B2 B3
    python -m tools.compare --group 'plain-*' --group 'wide-*'

Where the data differ, the page says how; `--data` says that alone. Exit codes: 0; with
`--fail-on worse`, 1 where the verdict is worse and 2 where there is none because of an error;
without it, 1 for an error.
"""

import argparse
import sys
import traceback
from pathlib import Path

from stages.run.failures import failures_in_one_line
from tools.compare.data_page import add_data, compare_data, read_data_revisions
from tools.compare.drawing import draw_data_to, draw_to
from tools.compare.page import Page, as_json, as_markdown, print_page
from tools.compare.verdicts import WORSE
from tools.shared.command_line import make_parser
from tools.shared.predictions import read_predictions

ERROR = 2  # exit code, as argparse's, where 1 means worse


def main() -> None:
    asked = parse_arguments(sys.argv[1:])
    try:
        with failures_in_one_line("compare", code=ERROR if asked.fail_on else 1):
            page = make_page(asked)
            if asked.json:
                print(as_json(page))
            elif asked.md:
                print(as_markdown(page))
            else:
                print_page(page)
    except Exception:
        if not asked.fail_on:
            raise
        traceback.print_exc()  # a bug says nothing of the models, but Python would end with 1
        sys.exit(ERROR)
    if asked.fail_on and asked.fail_on == page.verdict:
        sys.exit(1)


def make_page(asked: argparse.Namespace) -> Page:
    """The page that was asked for; draws the figures if they were."""
    if asked.data:
        return make_data_page(asked.a, asked.b, asked.figure)
    # Their tests import SciPy, which takes longer than to find what differs in 140,000 images.
    from tools.compare.groups import compare_groups, list_runs  # noqa: PLC0415
    from tools.compare.pair import compare_pair  # noqa: PLC0415

    if asked.group:
        groups = [list_runs(names) for names in asked.group]
        predictions = read_predictions([name for group in groups for name in group], asked.split)
        page = compare_groups(predictions, len(groups[0]), asked.split)
        add_data(page, predictions.revisions[0], predictions.revisions[len(groups[0])])
        return page
    predictions = read_predictions([asked.a, asked.b], asked.split)
    page = compare_pair(predictions, asked.split)
    section = add_data(page, *predictions.revisions)
    if asked.figure:
        draw_to(asked.figure, predictions, asked.split)
        page.figure = str(asked.figure)
        if section and section.drawable:
            data_figure = asked.figure.with_stem(f"{asked.figure.stem}_data")
            draw_data_to(data_figure, predictions.revisions, section.drawable)
            page.data_figure = str(data_figure)
    return page


def make_data_page(a: str, b: str, figure: Path | None) -> Page:
    """The page about the data alone. No figure is drawn if no image can be shown to differ."""
    revisions = read_data_revisions([a, b])
    page, section = compare_data(*revisions)
    if figure and section.drawable:
        draw_data_to(figure, revisions, section.drawable)
        page.data_figure = str(figure)
    elif figure:
        page.notes.append(f"There is no image to draw, so {figure} was not written.")
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
        help="default: validation, which decides; test is for quoting the choice made",
    )
    parser.add_argument(
        "--data", action="store_true", help="how the data differ, without the scores"
    )
    parser.add_argument(
        "--fail-on",
        choices=[WORSE],
        help="exit code 1 if B's accuracy is worse by the verdict, 2 for an error",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--md", action="store_true", help="print Markdown, as for a pull request")
    form.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--figure",
        type=Path,
        metavar="PATH",
        help="draw the images fixed and broken as PNG; images that differ: PATH with _data, or "
        "with --data PATH itself",
    )
    asked = parser.parse_args(words)
    if asked.group and (asked.a or len(asked.group) != 2 or asked.figure):
        parser.error("expected --group exactly twice, without A, B and --figure")
    if asked.data and (asked.group or asked.split or asked.fail_on):
        parser.error("expected --data without --group, --split and --fail-on")
    if asked.figure and asked.figure.suffix != ".png":
        parser.error(f"--figure: expected a name that ends with .png, found {asked.figure}")
    asked.a, asked.b = asked.a or "HEAD", asked.b or "workspace"
    asked.split = asked.split or "validation"
    return asked


if __name__ == "__main__":
    main()
