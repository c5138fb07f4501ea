"""python -m tools.report [A]: the workspace against revision A (default HEAD), for a review.

Writes report.md with its pictures beside it into --folder: what differs in params and metrics,
the verdict of tools.compare, the figures. With --card, model_card.md about the workspace's model.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from stages import StageError
from stages.files import replacing
from tools import command_line
from tools.compare import draw
from tools.compare_page import as_markdown
from tools.compare_pair import compare_pair
from tools.model_card import LAYERS, REPORTS, model_card
from tools.predictions import held_out, read_predictions
from tools.revisions import read_revision
from tools.verify import damaged_files, outputs

FIGURES = Path("reports/figures")
REFITTED = (
    "Trained on the validation images, too (`train.refit: true`), so scored on the test images: "
    "this quotes a choice that was made before, and is nothing to choose by."
)
SHOWN = ("training_curves", "confusion_matrix", "confused_pairs", "wrong_predictions")


def main() -> None:
    asked = arguments(sys.argv[1:])
    try:
        made = results()
        if asked.card:
            path = write(asked.folder, "model_card.md", model_card(made))
        else:
            path = write(asked.folder, "report.md", review(asked.a, asked.folder))
    except (StageError, OSError) as error:
        sys.exit(f"report: {error}")
    print(f"wrote {path}")


def review(revision: str, folder: Path) -> str:
    """The workspace against `revision` as Markdown; compare's figure goes into `folder`.

    By the validation images, or by the test images if one of them was trained on the others.
    """
    sides = [revision, "workspace"]
    split = "validation" if held_out(sides) else "test"
    predictions = read_predictions(sides, split)
    page = compare_pair(predictions, split)
    draw(predictions, split, folder / "changes.png")
    page.figure = "changes.png"
    parts = [
        f"# The workspace against {revision}",
        *([REFITTED] if split == "test" else []),
        as_markdown(page),
        "## Parameters",
        differing("params", revision),
        "## Metrics",
        differing("metrics", revision),
        "## Figures of the workspace",
        pictures(),
    ]
    return "\n\n".join(parts)


def differing(what: str, revision: str) -> str:
    """DVC's table of the params or metrics that differ; of none it prints the heading alone."""
    heading, marks, *rows = dvc(what, "diff", "--md", revision).splitlines()
    return "\n".join([heading, marks, *rows]) if rows else "None differs."


def dvc(*arguments: str) -> str:
    """What a dvc command prints. Raises StageError with its complaint if it fails."""
    done = subprocess.run(["dvc", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StageError(f"dvc {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def pictures() -> str:
    return "\n\n".join(f"![{name.replace('_', ' ')}]({name}.png)" for name in SHOWN)


def results() -> dict[str, str]:
    """MD5 by path of what the workspace's figures show and were made from.

    Raises StageError if dvc.lock is older than an edit, or the files to be shown are not its own.
    """
    made = read_revision("workspace", str(FIGURES)).made
    for output in outputs():
        if output.path == LAYERS or output.path.is_relative_to(REPORTS):
            for problem in damaged_files(output.path, output.md5, output.stage):
                raise StageError(problem)
    return made


def write(folder: Path, name: str, text: str) -> Path:
    """The text and the figures that it shows into `folder`; the text's path."""
    for shown in (figure for figure in SHOWN if f"({figure}.png)" in text):
        source = FIGURES / f"{shown}.png"
        with source.open("rb") as figure, replacing(folder / source.name) as target:
            shutil.copyfileobj(figure, target)
    with replacing(folder / name) as file:
        file.write(f"{text}\n".encode())
    return folder / name


def arguments(words: list[str]) -> argparse.Namespace:
    parser = command_line.parser("tools.report", __doc__)
    parser.add_argument("a", nargs="?", metavar="A", default="HEAD", help="default: HEAD")
    parser.add_argument("--card", action="store_true", help="write the model card instead")
    parser.add_argument("--folder", type=Path, default=Path("report"), help="default: report")
    return parser.parse_args(words)


if __name__ == "__main__":
    main()
