"""fetch: bring the data set's files to data/raw, a handful whatever the number of images.

A copy of each downloaded file stays in the user's cache folder, so that no run, forced or offline,
downloads it twice.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pooch

from stages.fetch.containers import refused_link
from stages.fetch.download import download_missing, download_path
from stages.fetch.packing import pack_images
from stages.shared.atomic_write import atomic_write
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from stages.run.params import NamedDataset, PublishedFile

FOLDER_VARIABLE = "DATASET_FOLDER"  # names a folder that holds the files, gzipped or plain


def main(data: Path, raw: Path, dataset: NamedDataset) -> None:
    files = vars(dataset.files)
    beside = data / dataset.folder
    published = {role: file for role, file in files.items() if hasattr(file, "sha256")}
    own = {role: beside / files[role].name for role in files.keys() - published.keys()}
    refuse_links(data, own)
    paths = own | download(published, dataset.sources)
    for role, path in sorted(paths.items()):
        if dataset.format.name == "folder":
            pack_images(path, files[role], dataset.format, raw)
        else:
            copy_file(path, raw / f"{role}.{dataset.format.name}")


def download(files: dict[str, PublishedFile], sources: list[str]) -> dict[str, Path]:
    """Where the published files lie, checked, by their roles; what is missing is downloaded."""
    cache = Path(pooch.os_cache("dvc-image-pipeline"))
    download_missing(list(files.values()), [*folder_of_user(), *sources], cache)
    for role, file in files.items():
        print(f"{role}: {file.name}, {file.size:,} bytes, SHA-256 as in dataset.yaml")
    return {role: download_path(file, cache) for role, file in files.items()}


def refuse_links(data: Path, own: dict[str, Path]) -> None:
    """Raise UserError if a link leads from the data set to where DVC would see no change."""
    inside = os.path.realpath(data)
    for path in own.values():
        for part in (path, *path.parents):
            if part == data or data not in part.parents:
                break
            if part.is_symlink() and (reason := refused_link(str(part), inside)):
                raise UserError(f"{part}: {reason}")


def copy_file(path: Path, target: Path) -> None:
    if not path.is_file():
        raise UserError(
            f"{path}: expected the file that dataset.yaml names, found none. If DVC tracks it, "
            "`dvc pull` or `dvc checkout` brings it; `dvc exp run --temp` lacks untracked files"
        )
    with path.open("rb") as source, atomic_write(target) as copy:
        shutil.copyfileobj(source, copy)


def folder_of_user() -> list[str]:
    """The folder that the user names, as a source. Raises UserError if it is not there."""
    named = os.environ.get(FOLDER_VARIABLE)
    if not named:
        return []
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise UserError(f"{FOLDER_VARIABLE}: expected a folder, found none at {folder}")
    return [f"folder:{folder}"]
