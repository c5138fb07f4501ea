"""fetch: bring the data set's IDX files to data/raw.

A copy of each file stays in the user's cache folder, so that no run, forced or offline, downloads
it twice.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pooch

from stages.fetch.download import download_missing, download_path
from stages.shared.atomic_write import atomic_write
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from stages.run.params import Dataset

FOLDER_VARIABLE = "DATASET_FOLDER"  # names a folder that holds the files, gzipped or plain


def main(raw: Path, dataset: Dataset) -> None:
    cache = Path(pooch.os_cache("dvc-image-pipeline"))
    files = vars(dataset.files)
    sources = [*folder_of_user(), *dataset.sources]
    download_missing(list(files.values()), sources, cache)
    for role, file in files.items():
        path = download_path(file, cache)
        with path.open("rb") as source, atomic_write(raw / f"{role}.idx") as target:
            shutil.copyfileobj(source, target)
        print(f"{role}: {file.name}, {file.size:,} bytes, SHA-256 as in dataset.yaml")


def folder_of_user() -> list[str]:
    """The folder that the user names, as a source. Raises UserError if it is not there."""
    named = os.environ.get(FOLDER_VARIABLE)
    if not named:
        return []
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise UserError(f"{FOLDER_VARIABLE}: expected a folder, found none at {folder}")
    return [f"folder:{folder}"]
