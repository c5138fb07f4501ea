"""Brings a source to data/NAME, complete or not at all, and has DVC track it."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from pathlib import Path

from tqdm import tqdm

from stages.fetch.containers import open_container
from stages.run.params import DATA
from stages.shared.errors import UserError
from tools.dataset.choices import Choices
from tools.dataset.found import Found, SourceFile, size
from tools.shared.corrections import write_corrections

CORRECTIONS = "corrections.csv"
SPARE_BYTES = 64 << 20  # that a disk should have left


def disk_needed(
    found: Found, choices: Choices, is_copied: bool, is_tracked: bool
) -> dict[str, int]:
    """Bytes by what needs them, until `dvc repro` has run."""
    pixels = choices["height"].value * choices["width"].value
    arrays = found.count * pixels * (3 if choices["colour"].value == "rgb" else 1)
    is_encoded = found.format["name"] in ("folder", "parquet")
    return {
        "the copy in data/": found.bytes if is_copied else 0,
        "the same in DVC's cache": found.bytes if is_tracked else 0,
        "data/raw and the same in DVC's cache": 2 * found.bytes,
        "arrays and the same in DVC's cache": 2 * arrays,
        "decoded images, kept for the next run": arrays if is_encoded else 0,
    }


def refuse_full_disk(needed: int) -> None:
    free = shutil.disk_usage(DATA).free
    if free < needed + SPARE_BYTES:
        raise UserError(
            f"{DATA}: {size(needed)} are needed there, and {size(free)} are free: make room"
        )


def place(found: Found, folder: Path, text: str, is_moved: bool) -> None:
    """Copy or move the source into a new `folder`, with `text` as its dataset.yaml, no corrections.

    The copy is made in a folder that Git and DVC ignore, as its name ends with .part, and then
    renamed. What is moved is renamed after that: a killed run never leaves it in the .part.
    """
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # copies, of a killed run
    part.mkdir(parents=True)
    try:
        (part / "dataset.yaml").write_text(text, encoding="utf-8")
        write_corrections(part / CORRECTIONS, [])
        renamed = [file for file in found.files if is_moved and can_rename(file, part)]
        copied = [file for file in found.files if file not in renamed]
        for file in copied:
            (part / file.name).parent.mkdir(parents=True, exist_ok=True)
            copy(file, part / file.name)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    for file in renamed:
        (folder / file.name).parent.mkdir(parents=True, exist_ok=True)
        file.path.rename(folder / file.name)
    for file in copied if is_moved else []:
        shutil.rmtree(file.path) if file.path.is_dir() else file.path.unlink()


def add_corrections(folder: Path) -> None:
    """Write a corrections.csv without corrections, unless there is one: preprocess reads it."""
    path = folder / CORRECTIONS
    if not path.exists():
        write_corrections(path, [])
        print(f"wrote {path}, with its header only")


def can_rename(file: SourceFile, part: Path) -> bool:
    """Whether the file lies on the same disk and needs no unpacking."""
    return not file.is_packed and file.path.stat().st_dev == part.stat().st_dev


def copy(file: SourceFile, target: Path) -> None:
    """Copy a file, unpacked if it is gzipped, or of a folder all but junk; links become files."""
    if file.is_packed:
        with gzip.open(file.path) as packed, target.open("wb") as plain:
            shutil.copyfileobj(packed, plain, 1 << 20)
        return
    if file.path.is_file():
        shutil.copyfile(file.path, target)
        return
    problems: list[str] = []
    with open_container(file.path) as container:
        listed = list(container.list_files(problems))
    for each in tqdm(listed, "copying", unit=" files", disable=None, leave=False):
        (target / each.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.path / each.path, target / each.path)


def track(path: Path) -> None:
    """`dvc add`. Raises UserError with DVC's words if it refuses."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "add", "--quiet", str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise UserError(
            f"{path} and its dataset.yaml are there, but `dvc add {path}` refuses:\n"
            f"{done.stderr.strip()}\nRepeat it once the cause is mended"
        )


def ignore(folder: Path, name: str) -> None:
    """Keep Git from taking the data."""
    (folder / ".gitignore").write_text(f"/{name}\n", encoding="utf-8")
