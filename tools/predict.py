"""python -m tools.predict FILE ... | FOLDER | -: what does an image show?

Names the most probable class of each image, its probability and the runner-up. Any image file
will do: it is read as model.json says. A folder is searched with all its subfolders; - is one
image on standard input. An image that cannot be read is named, the others are answered, and the
exit code is 1.

An answer whose probability is below the threshold is called unsure. model.json has a threshold
unless train.refit left no validation images to choose one on; --threshold sets another.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from serving.command_line import FOLDER, add_classifier_options
from stages.run.failures import failures_in_one_line
from stages.shared.errors import UserError
from tools.shared.command_line import make_parser

if TYPE_CHECKING:
    from serving.classifier import Answer, Classifier

STANDARD_INPUT = "-"
BATCH_IMAGES = 64  # read, then predicted at once
MOST_BYTES = 1 << 28  # of one file: larger ones are no images
PROGRESS_SECONDS = 0.5
# What a file in a folder ends with to be taken for an image; a file given by name may have any.
ENDINGS = {
    *(".avif", ".bmp", ".dib", ".gif", ".ico", ".j2k", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm"),
    *(".png", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
}
COLUMNS = ("file", "class", "probability", "runner_up", "runner_up_probability", "unsure", "error")


class Result(NamedTuple):
    """Of one image: an answer or the reason why there is none."""

    file: str
    answer: "Answer | None"
    error: str


def main(folder: Path = FOLDER) -> None:
    """`folder` is the classifier's if none is named: an export's predict.py has its own."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends this quietly
    asked = parse_arguments(sys.argv[1:], folder)
    with failures_in_one_line("predict"):
        # Imported here: --help and a Python without the packages need none of it.
        from serving.classifier import open_classifier  # noqa: PLC0415
        from stages.shared.image_reading import refuse_bombs  # noqa: PLC0415

        refuse_bombs()
        classifier = open_classifier(asked.classifier)
        threshold = classifier.threshold if asked.threshold is None else asked.threshold
        if threshold is None:
            say(
                f"note: {asked.classifier / 'model.json'} has no threshold: train.refit left no "
                "validation images to choose one on, or they were too few, or too many errors. No "
                "answer is called unsure. --threshold sets one."
            )
        failed = print_results(predict_all(classifier, asked.images, threshold), asked)
    if failed:
        sys.exit(1)


def parse_arguments(words: list[str], folder: Path = FOLDER) -> argparse.Namespace:
    parser = make_parser("tools.predict", __doc__)
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="files, folders, or - for standard input"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print a JSON object a line")
    form.add_argument("--csv", action="store_true", help="print CSV")
    add_classifier_options(parser, folder)
    return parser.parse_args(words)


def predict_all(
    classifier: "Classifier", names: list[str], threshold: float | None
) -> Iterator[Result]:
    """A result for each image, in order; only a batch of them is in memory."""
    found = (image for name in names for image in list_images(name))
    while batch := list(islice(found, BATCH_IMAGES)):
        yield from predict_batch(classifier, batch, threshold)


def predict_batch(
    classifier: "Classifier", names: list[str], threshold: float | None
) -> Iterator[Result]:
    import numpy as np  # noqa: PLC0415

    from stages.shared.image_reading import BadImageError  # noqa: PLC0415

    images, errors = {}, {}
    for place, name in enumerate(names):
        try:
            images[place] = classifier.read(read_bytes(name))
        except (BadImageError, OSError) as error:
            errors[place] = reason_of(error)
    answers = {}
    if images:
        probabilities = classifier.predict(np.stack(list(images.values())))
        answers = dict(zip(images, classifier.answers(probabilities, threshold), strict=True))
    for place, name in enumerate(names):
        yield Result(name, answers.get(place), errors.get(place, ""))


def reason_of(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def list_images(name: str) -> Iterator[str]:
    """The image files of a folder, in alphabetical order; a file's name as it is given.

    Raises UserError if a folder has none.
    """
    path = Path(name)
    if name == STANDARD_INPUT or not path.is_dir():
        yield name
        return
    empty = True
    for file in walk(path):
        empty = False
        yield str(file)
    if empty:
        raise UserError(
            f"{name}: expected a folder with images, found no file that ends with .png, .jpg or "
            "the like"
        )


def walk(folder: Path) -> Iterator[Path]:
    """Image files of a folder and its subfolders, hidden ones left out; one folder at a time."""
    for name in sorted(os.listdir(folder)):  # noqa: PTH208  # names take a fifth of paths' memory
        if name.startswith("."):
            continue
        path = folder / name
        if path.suffix.lower() in ENDINGS:
            yield path
        elif path.is_dir() and not path.is_symlink():
            yield from walk(path)


def read_bytes(name: str) -> bytes:
    """An image file's content. Raises OSError if it cannot be had."""
    if name == STANDARD_INPUT:
        content = sys.stdin.buffer.read(MOST_BYTES + 1)
    else:
        with Path(name).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise OSError(f"larger than {MOST_BYTES:,} bytes")
    return content


def print_results(results: Iterable[Result], asked: argparse.Namespace) -> int:
    """Print them as they come; how many have no answer."""
    form = json_line if asked.json else csv_line if asked.csv else text_line
    shows_progress = sys.stderr.isatty() and not sys.stdout.isatty()
    counts = {"image": 0, "unsure": 0, "unreadable": 0}
    start = last = time.monotonic()
    if asked.csv:
        print(",".join(COLUMNS))
    for result in results:
        counts["image"] += 1
        counts["unsure"] += result.answer is not None and result.answer.unsure
        counts["unreadable"] += result.answer is None
        if line := form(result):
            print(line)
        if not result.answer:
            say(f"predict: {result.file}: {result.error}")
        if shows_progress and time.monotonic() - last > PROGRESS_SECONDS:
            last = time.monotonic()
            rate = counts["image"] / (last - start)
            print(f"\r{counts['image']:,} images, {rate:,.0f} a second", end="", file=sys.stderr)
    if shows_progress and last > start:
        print(file=sys.stderr)
    if counts["image"] > 1:
        say(f"{counts['image']:,} images: {counts['unsure']:,} unsure, "
            f"{counts['unreadable']:,} unreadable")  # fmt: skip
    return counts["unreadable"]


def text_line(result: Result) -> str:
    """Empty for an image without an answer: its reason goes to standard error."""
    if not result.answer:
        return ""
    name, highest, runner_up, next_highest, unsure = result.answer
    doubt = "unsure, " if unsure else ""
    return f"{result.file}: {doubt}{name} ({highest:.3f}), then {runner_up} ({next_highest:.3f})"


def json_line(result: Result) -> str:
    return json.dumps(fields_of(result), ensure_ascii=False)


def csv_line(result: Result) -> str:
    fields = fields_of(result)
    cells = [fields.get(column, "") for column in COLUMNS]
    return ",".join(quote(str(cell).lower() if isinstance(cell, bool) else str(cell))
                    for cell in cells)  # fmt: skip


def quote(cell: str) -> str:
    """As a CSV file has it; the module csv takes a writer for that."""
    return '"{}"'.format(cell.replace('"', '""')) if set(cell) & set(',"\n\r') else cell


def fields_of(result: Result) -> dict[str, object]:
    from serving.classifier import fields_of as fields_of_answer  # noqa: PLC0415

    if not result.answer:
        return {"file": result.file, "error": result.error}
    return {"file": result.file, **fields_of_answer(result.answer)}


def say(text: str) -> None:
    """To standard error, after the lines that stand for the images before."""
    sys.stdout.flush()
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
