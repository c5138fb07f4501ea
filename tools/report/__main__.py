"""python -m tools.report [A]: the workspace against revision A (default HEAD), for a review.

Writes report.md with its pictures beside it into --folder: what differs in params, data and
metrics, the verdict of tools.compare, the figures. With --card, model_card.md about the
workspace's model.
"""

import argparse
import json
import re
import shutil
import sys
from pathlib import Path

from stages.run.failures import failures_in_one_line
from stages.shared.atomic_write import atomic_write
from stages.shared.errors import UserError
from tools.compare.data_page import DataSection, add_data, compare_data, read_data_revisions
from tools.compare.drawing import draw_data_to, draw_to
from tools.compare.page import Page, as_markdown, format_value
from tools.compare.pair import compare_pair
from tools.report.model_card import write_card
from tools.shared.baseline import describe_baseline
from tools.shared.command_line import make_parser
from tools.shared.common_images import NothingInCommonError
from tools.shared.dvc import run_dvc
from tools.shared.git import git_output
from tools.shared.markdown import escape, format_table
from tools.shared.outputs import damaged_files, read_outputs
from tools.shared.paths import FIGURES, LAYERS, REPORTS
from tools.shared.predictions import is_held_out, read_predictions
from tools.shared.revisions import Revision, read_revision

REFITTED = (
    "Trained on the validation images as well (`train.refit: true`), so it is scored on the test "
    "images: this quotes a choice made before and cannot decide one."
)
SHOWN_FIGURES = ("training_curves", "confusion_matrix", "confused_pairs", "wrong_predictions")


def main() -> None:
    asked = parse_arguments(sys.argv[1:])
    with failures_in_one_line("report"):
        made = read_current_results()
        if asked.card:
            path = write_with_figures(asked.folder, "model_card.md", write_card(made))
        else:
            text = write_review(asked.a, asked.folder)
            path = write_with_figures(asked.folder, "report.md", text)
        print(f"wrote {path}")


def write_review(revision: str, folder: Path) -> str:
    """The workspace against `revision` as Markdown; compare's figure goes into `folder`.

    By the validation images, or by the test images if one of them was trained on the others.
    """
    sides = [revision, "workspace"]
    split = "validation" if is_held_out(sides) else "test"
    # A partial clone gets now what differs: DVC would wait for it without end.
    git_output("diff", "--shortstat", revision)
    try:
        page = compare_models(sides, split, folder)
    except NothingInCommonError as error:
        page = compare_data_alone(sides, folder)
        page.answer.insert(0, f"The models cannot be compared: {error}")
    parts = [
        f"# The workspace against {escape(shorten_commits(revision))}",
        *([REFITTED] if split == "test" else []),
        as_markdown(page),
        describe_baseline(split),
        "## Parameters",
        dvc_diff("params", revision),
        "## Metrics",
        dvc_diff("metrics", revision),
        "## Figures of the workspace",
        list_figures(),
    ]
    return "\n\n".join(parts)


def compare_models(sides: list[str], split: str, folder: Path) -> Page:
    """The page about both models, its figures in `folder`."""
    predictions = read_predictions(sides, split)
    page = compare_pair(predictions, split)
    section = add_data(page, *predictions.revisions)
    draw_to(folder / "changes.png", predictions, split)
    page.figure = "changes.png"
    add_data_figure(page, section, predictions.revisions, folder)
    return page


def compare_data_alone(sides: list[str], folder: Path) -> Page:
    """The page about the data alone, its figure in `folder`."""
    revisions = read_data_revisions(sides)
    page, section = compare_data(*revisions)
    add_data_figure(page, section, revisions, folder)
    return page


def add_data_figure(
    page: Page, section: DataSection | None, revisions: list[Revision], folder: Path
) -> None:
    if section and section.drawable:
        draw_data_to(folder / "data_changes.png", revisions, section.drawable)
        page.data_figure = "data_changes.png"


def dvc_diff(what: str, revision: str) -> str:
    """A table of the params or metrics that differ, as DVC compares them."""
    files = json.loads(run_dvc(what, "diff", "--json", revision))
    columns = ["old", "new", *(["diff"] if what == "metrics" else [])]
    rows = [
        [path, key, *(format_change(change.get(column)) for column in columns)]
        for path, changes in files.items()
        for key, change in changes.items()
    ]
    header = ["file", "key", shorten_commits(revision), "workspace", "change"][: 2 + len(columns)]
    marks = [":--", ":--", *("--:" for _ in columns)]
    return format_table(header, marks, rows) if rows else "None differs."


def format_change(value: object) -> str:
    return format_value(round(value, 6) if isinstance(value, float) else value)


def shorten_commits(text: str) -> str:
    """The text with hashes of commits as people write them."""
    return re.sub(r"\b([0-9a-f]{7})[0-9a-f]{33}\b", r"\1", text)


def list_figures() -> str:
    return "\n\n".join(f"![{name.replace('_', ' ')}]({name}.png)" for name in SHOWN_FIGURES)


def read_current_results() -> dict[str, str]:
    """MD5 by path of what the workspace's figures show and were made from.

    Raises UserError if dvc.lock is older than an edit, or the files to be shown are not its own.
    """
    made = read_revision("workspace", str(FIGURES)).made
    for output in read_outputs():
        if output.path == LAYERS or output.path.is_relative_to(REPORTS):
            for problem in damaged_files(output):
                raise UserError(problem)
    return made


def write_with_figures(folder: Path, name: str, text: str) -> Path:
    """The text and the figures that it shows into `folder`; the text's path."""
    for shown in (figure for figure in SHOWN_FIGURES if f"({figure}.png)" in text):
        source = FIGURES / f"{shown}.png"
        with source.open("rb") as figure, atomic_write(folder / source.name) as target:
            shutil.copyfileobj(figure, target)
    with atomic_write(folder / name) as file:
        file.write(f"{text}\n".encode())
    return folder / name


def parse_arguments(words: list[str]) -> argparse.Namespace:
    parser = make_parser("tools.report", __doc__)
    parser.add_argument("a", nargs="?", metavar="A", default="HEAD", help="default: HEAD")
    parser.add_argument("--card", action="store_true", help="write the model card instead")
    parser.add_argument("--folder", type=Path, default=Path("report"), help="default: report")
    return parser.parse_args(words)


if __name__ == "__main__":
    main()
