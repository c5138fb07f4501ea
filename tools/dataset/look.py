"""Finds out what a path is, and has it looked at by the module of its format."""

from __future__ import annotations

import re
from pathlib import Path

from stages.fetch.containers import is_archive, is_junk, open_container
from stages.fetch.listing import IMAGE_SUFFIXES, SPLITS, TABLE, natural_key
from stages.shared.errors import UserError
from tools.dataset import array_files, image_files, tables
from tools.dataset.found import Found, SourceFile

TABLES = {".csv": "csv", ".parquet": "parquet"}
COPY = "images"  # how the data is called in data/NAME
IDX = re.compile(
    r"(?:.*[-_])?(train|t10k|test)[-_](images|labels)[-_.]idx\d[-_](?:ubyte|int)(\.gz)?", re.I
)


def look_at(path: Path, label: str | None, group: str | None, copy: str = COPY) -> Found:
    """What lies at `path`, which is to be called `copy` in data/NAME; nothing is written.

    `label` is the column of the label in CSV and parquet, None for the usual names; `group` what
    splits.group is to be. Raises UserError if it is none of the formats.
    """
    if not path.exists():
        raise UserError(f"{path}: expected a folder or a file of images, found nothing")
    suffix = path.suffix.lower()
    if path.is_dir():
        found = look_at_folder(path, label, group, copy)
    elif suffix == ".npz":
        found = array_files.look_at_npz(path, SourceFile("all", path, f"{copy}.npz"))
    elif suffix in TABLES:
        file = SourceFile("all", path, f"{copy}{suffix}")
        found = tables.look_at_tables(path, TABLES[suffix], [file], label, group)
    elif is_archive(path):
        suffix = "".join(re.findall(r"\.tar(?=\.)|\.\w+$", path.name.lower()))
        found = look_at_images(path, f"{copy}{suffix}", group)
    else:
        raise UserError(
            f"{path}: expected a folder, .zip, .tar (.gz, .bz2, .xz), .npz, .csv or .parquet; "
            f"found {suffix or 'a file without a suffix'}"
        )
    if group and found.format["name"] in ("idx", "npz"):
        found.problems.append(f"{found.format['name']} has no groups: leave out --group")
    if label and "label" not in found.format and not found.problems:
        found.problems.append(f"{found.format['name']} has no columns: leave out --label")
    return found


def look_at_images(path: Path, name: str, group: str | None) -> Found:
    with open_container(path) as container:
        return image_files.look_at_images(path, container, SourceFile("all", path, name), group)


def look_at_folder(path: Path, label: str | None, group: str | None, copy: str) -> Found:
    """A folder of image files, or of files that each hold many."""
    files = sorted(
        (file for file in path.iterdir() if file.is_file() and not is_junk(file.name)),
        key=lambda file: natural_key(file.name),
    )
    has_folders = any(item.is_dir() and not is_junk(item.name) for item in path.iterdir())
    idx = {file: match for file in files if (match := IDX.fullmatch(file.name))}
    if idx:
        chosen = [
            SourceFile(
                f"{'train' if match[1].lower() == 'train' else 'test'}_{match[2].lower()}",
                file,
                f"{copy}/{file.name.removesuffix('.gz')}",
                match[3] is not None,
            )
            for file, match in idx.items()
        ]
        return with_others(array_files.look_at_idx(path, chosen), files, chosen)
    suffixes = {file.suffix.lower() for file in files}
    if has_folders or suffixes & IMAGE_SUFFIXES or any(file.name == TABLE for file in files):
        return look_at_images(path, copy, group)
    for suffix, kind in TABLES.items():
        if suffix in suffixes:
            parts = [file for file in files if file.suffix.lower() == suffix]
            chosen = [
                SourceFile(role, file, f"{copy}/{file.name}") for role, file in roles_of(parts)
            ]
            found = tables.look_at_tables(path, kind, chosen, label, group)
            return with_others(found, files, found.files)
    npz = [file for file in files if file.suffix.lower() == ".npz"]
    if len(npz) == 1:
        chosen = [SourceFile("all", npz[0], f"{copy}/{npz[0].name}")]
        return with_others(array_files.look_at_npz(path, chosen[0]), files, chosen)
    if npz:
        raise UserError(f"{path}: {len(npz)} .npz files, expected one: name the file")
    return look_at_images(path, copy, group)


def with_others(found: Found, files: list[Path], chosen: list[SourceFile]) -> Found:
    taken = {file.path for file in chosen}
    known = {line.partition(":")[0] for line in found.others}
    found.others += [file.name for file in files if file not in taken and file.name not in known]
    return found


def roles_of(files: list[Path]) -> list[tuple[str, Path]]:
    """A role for each table, by how its name begins: train, train_2, test; all if none does."""
    seen: dict[str, int] = {}
    roles = []
    for file in files:
        word = re.match("[a-z]*", file.stem.lower())
        base = SPLITS.get(word[0] if word else "", "all")
        seen[base] = seen.get(base, 0) + 1
        roles.append((base if seen[base] == 1 else f"{base}_{seen[base]}", file))
    return roles
