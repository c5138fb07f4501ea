"""python -m tools.export FOLDER: the trained classifier as a folder to hand on.

It holds the model, its card, a predict.py that needs three packages and nothing of this project,
the page to draw on, and export.json, which says what commit and data all of it was made from.
FOLDER must be new, empty or an earlier export, which is replaced.
"""

import argparse
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

from serving.browser_runtime import write_page
from serving.classifier import MODEL_FILES
from stages.run.failures import failures_in_one_line
from stages.run.hashes import md5_of_file
from stages.shared.atomic_write import atomic_write
from stages.shared.errors import UserError
from tools.report.__main__ import read_current_results, write_with_figures
from tools.report.model_card import write_card
from tools.shared.command_line import make_parser
from tools.shared.git import git_output, resolve_commit
from tools.shared.outputs import damaged_files, read_outputs
from tools.shared.paths import CLASSIFIER, REQUIREMENTS

RECORD = "export.json"  # by which an export is known
PACKAGES = ("numpy", "onnxruntime", "pillow")
LAUNCHER = Path("serving/exported/predict.py")
# What predict.py runs: tools.predict and all that it imports.
PROGRAM = (
    "serving/__init__.py",
    "serving/classifier.py",
    "serving/command_line.py",
    "stages/__init__.py",
    "stages/run/__init__.py",
    "stages/run/failures.py",
    "stages/run/interrupts.py",
    "stages/run/search_path.py",
    "stages/shared/__init__.py",
    "stages/shared/errors.py",
    "stages/shared/image_reading.py",
    "stages/shared/ink.py",
    "stages/shared/onnx_model.py",
    "stages/shared/onnx_shapes.py",
    "tools/__init__.py",
    "tools/predict.py",
    "tools/shared/__init__.py",
    "tools/shared/command_line.py",
)


def main() -> None:
    folder: Path = parse_arguments(sys.argv[1:]).folder
    with failures_in_one_line("export"):
        refuse_foreign(folder)
        refuse_damaged()
        made = read_current_results()
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target, so that renaming it into place cannot fail halfway.
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as place:
            whole = Path(place) / "export"
            write_export(whole, made)
            replace_folder(folder, whole, Path(place) / "before")
        print(f"wrote {folder}: `python {folder / 'predict.py'} IMAGE` classifies an image")


def parse_arguments(words: list[str]) -> argparse.Namespace:
    parser = make_parser("tools.export", __doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    return parser.parse_args(words)


def refuse_foreign(folder: Path) -> None:
    """Raise UserError if the folder holds anything but an earlier export."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UserError(f"{folder}: expected a folder or nothing there, found another file")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / RECORD).is_file():
        raise UserError(
            f"{folder}: expected a new or empty folder or an earlier export, found files of "
            "something else. Name another folder."
        )


def refuse_damaged() -> None:
    """Raise UserError unless the classifier's files are those that dvc.lock names."""
    outputs = {output.path: output for output in read_outputs()}
    for name in MODEL_FILES:
        path = CLASSIFIER / name
        if path not in outputs:
            raise UserError(f"{path}: expected in dvc.lock, found none: `dvc repro` makes it")
        for problem in damaged_files(outputs[path]):
            raise UserError(problem)


def write_export(folder: Path, made: dict[str, str]) -> None:
    """All of an export; `made` has the MD5 by path of the workspace's results."""
    folder.mkdir()
    for name in MODEL_FILES:
        shutil.copyfile(CLASSIFIER / name, folder / name)
    write_with_figures(folder, "model_card.md", write_card(made))
    write_text(folder / "requirements.txt", "".join(f"{line}\n" for line in pinned_packages()))
    shutil.copyfile(LAUNCHER, folder / "predict.py")
    for name in PROGRAM:
        target = folder / "program" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(name, target)
    write_page(folder / "page", CLASSIFIER)
    record = make_record(folder, made)
    write_text(folder / RECORD, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def pinned_packages() -> Iterator[str]:
    """The locked versions of what predict.py needs, with the Pythons that they are for."""
    for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines():
        if re.match(r"[\w-]+==", line):
            text = line.removesuffix("\\").strip()
            if Requirement(text).name in PACKAGES:
                yield text


def make_record(folder: Path, made: dict[str, str]) -> dict[str, object]:
    """The commit, what was edited since, and MD5s: of the results and of each file here."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        "commit": resolve_commit("HEAD"),
        "edited_since": git_output("status", "--porcelain").splitlines(),
        "made_from": made,
        "files": {path.relative_to(folder).as_posix(): md5_of_file(path) for path in files},
    }


def write_text(path: Path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text.encode())


def replace_folder(folder: Path, whole: Path, before: Path) -> None:
    """Put the finished export in its place by renaming; the one before goes to `before`."""
    if folder.exists():
        folder.rename(before)
    try:
        whole.rename(folder)
    except OSError:
        if before.exists():
            before.rename(folder)
        raise


if __name__ == "__main__":
    main()
