"""Looks at images that are arrays already: .npz and IDX."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.preprocess import idx, npz
from stages.preprocess.source import SPLIT_NUMBERS
from stages.shared.errors import UserError
from tools.dataset.found import Found, SourceFile, number_classes

BLOCK_ROWS = 1024
SPLIT_NAMES = {number: name for name, number in SPLIT_NUMBERS.items()}
ROLES = ("train_images", "train_labels", "test_images", "test_labels")


def look_at_npz(path: Path, file: SourceFile) -> Found:
    found = Found(path, {"name": "npz"}, [file], is_array=True, bytes=file.path.stat().st_size)
    labels: Counter[int] = Counter()
    try:
        with zipfile.ZipFile(file.path) as archive, tempfile.TemporaryDirectory() as scratch:
            members = {name.removesuffix(".npy"): name for name in archive.namelist()}
            pairs = npz.find_arrays(set(members), file.path)
            for images_name, labels_name, split in pairs:
                images, numbers = (
                    npz.unpack_array(archive, members[name], Path(scratch))
                    for name in (images_name, labels_name)
                )
                numbers = npz.one_label_each(numbers, len(images), labels_name)
                npz.refuse_other_types(images, images_name)
                add_array(found, images, images_name)
                count_labels(found, numbers, SPLIT_NAMES[split], labels)
            used = {name for pair in pairs for name in pair[:2]}
            found.others += sorted(set(members) - used)
    except UserError as fault:
        found.problems.append(str(fault))
    except (*npz.DAMAGED, zlib.error) as fault:
        found.problems.append(f"expected a complete .npz file: {fault}")
    if not found.problems:
        number_classes(found, labels)
    return found


def count_labels(found: Found, numbers: npt.NDArray[Any], split: str, labels: Counter[int]) -> None:
    """Add the labels of a split to what was found, and to `labels`."""
    counts = Counter(numbers.tolist())
    labels.update(counts)
    found.splits[split] += len(numbers)
    found.members.update({(label, split, ""): count for label, count in counts.items()})


def look_at_idx(path: Path, files: list[SourceFile]) -> Found:
    found = Found(path, {"name": "idx"}, sorted(files, key=lambda file: ROLES.index(file.role)))
    found.is_array = True
    roles = Counter(file.role for file in files)
    for role, number in roles.items():
        if number > 1:
            names = ", ".join(file.path.name for file in files if file.role == role)
            found.problems.append(f"several files of {role}, expected one: {names}")
    for split in ("train", "test"):
        pair = {f"{split}_images", f"{split}_labels"}
        if len(pair & set(roles)) == 1 or (split == "train" and not pair & set(roles)):
            found.problems.append(f"expected {' and '.join(sorted(pair))}, found {dict(roles)}")
    if found.problems:
        return found
    labels: Counter[int] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            arrays = {file.role: read_idx(file, Path(scratch), found) for file in found.files}
            for split in ("train", "test"):
                if f"{split}_images" in arrays:
                    add_pair(found, split, arrays, labels)
        except UserError as fault:
            found.problems.append(str(fault).partition(". `dvc repro")[0])
    if not found.problems:
        number_classes(found, labels)
    return found


def add_pair(
    found: Found, split: str, arrays: dict[str, npt.NDArray[Any]], labels: Counter[int]
) -> None:
    images, numbers = arrays[f"{split}_images"], arrays[f"{split}_labels"]
    if numbers.ndim == 2 and numbers.shape[1] == idx.QMNIST_COLUMNS:
        numbers = numbers[:, 0]
    if images.ndim not in (3, 4) or images.dtype != np.uint8 or numbers.ndim != 1:
        found.problems.append(
            f"{split}: expected images as bytes in 3 dimensions and labels in one; found "
            f"{images.shape} and {numbers.shape}"
        )
    elif len(images) != len(numbers):
        found.problems.append(f"{split}: {len(images):,} images, but {len(numbers):,} labels")
    else:
        add_array(found, images, split)
        count_labels(found, numbers, split, labels)


def read_idx(file: SourceFile, scratch: Path, found: Found) -> npt.NDArray[Any]:
    path = file.path
    if file.is_packed:
        path = scratch / file.role
        try:
            with gzip.open(file.path) as packed, path.open("wb") as plain:
                shutil.copyfileobj(packed, plain, 1 << 20)
        except (OSError, EOFError, zlib.error) as fault:
            raise UserError(f"{file.path}: damaged: {fault}") from None
    found.bytes += path.stat().st_size
    return idx.read_idx(path)


def add_array(found: Found, images: npt.NDArray[Any], name: str) -> None:
    """Count images (count, height, width[, channels]) and look for a colour among them."""
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        found.problems.append(
            f"{name}: expected images (count, height, width) or (count, height, width, 3), found "
            f"{images.shape}"
        )
        return
    found.sizes[images.shape[1], images.shape[2]] += len(images)
    found.modes["RGB" if images.ndim == 4 else "L"] += len(images)
    for start in range(0, len(images), BLOCK_ROWS):
        block = np.asarray(images[start : start + BLOCK_ROWS])
        if not start:
            found.corners.append(float(np.median(block[:, [0, 0, -1, -1], [0, -1, 0, -1]])))
        if images.ndim == 3 or found.has_colour:
            break
        found.has_colour = bool((block != block[..., :1]).any())
