"""Looks at image files: sizes, colours, transparency. Their headers, and of a few the pixels."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from stages.fetch.containers import Container
from stages.fetch.listing import TABLE, list_images
from stages.preprocess.packed import find_groups
from stages.shared.errors import UserError
from stages.shared.image_reading import (
    EXIF_ORIENTATION,
    FORMATS,
    BadImageError,
    refuse_too_many_pixels,
)
from tools.dataset.found import GREYS, MOST_SHOWN, Found, SourceFile, name_classes
from tools.shared.lists import name_some

SAMPLES = 200  # images whose corners say how light the background is
TURNED = (5, 6, 7, 8)  # EXIF orientations that swap height and width


def look_at_images(path: Path, container: Container, file: SourceFile, group: str | None) -> Found:
    listing = list_images(container)
    found = Found(path, {"name": "folder", "layout": listing.layout}, [file])
    found.problems += listing.problems
    found.others += listing.others
    tables = [other for other in listing.others if other.lower().endswith(".csv")]
    if tables and listing.problems:
        found.problems.append(
            f"{', '.join(tables)}: if it has the labels, give it the columns file and label, and "
            f"the name {TABLE}"
        )
    elif listing.others and not listing.entries:
        found.problems.append(
            f"no images, but {name_some(listing.others, MOST_SHOWN)}: unpack what holds images, "
            "and name its folder or file"
        )
    name_classes(found, Counter(entry.label for entry in listing.entries))
    found.splits = Counter(entry.split for entry in listing.entries)
    found.bytes = sum(entry.file.size for entry in listing.entries)
    groups = [entry.group for entry in listing.entries]
    found.group = group or ("group" if any(groups) else None)
    names = [""] * len(groups)
    if found.group:
        try:
            numbers = find_groups([entry.path for entry in listing.entries], groups, found.group)
            names = [str(number) for number in numbers] if numbers is not None else names
            found.groups = len(set(names))
        except UserError as fault:
            found.problems.append(str(fault).removeprefix("dataset.yaml: "))
    found.members = Counter(
        (entry.label, entry.split, name) for entry, name in zip(listing.entries, names, strict=True)
    )
    every = max(1, len(listing.entries) // SAMPLES)
    progress = tqdm(listing.entries, "looking", unit=" images", disable=None, leave=False)
    for number, entry in enumerate(progress):
        if not entry.file.size:
            continue  # a problem already
        look_at_image(found, entry.path, container.read(entry.file), number % every == 0)
    if listing.layout == TABLE:
        found.notes.append(f"labels, splits and groups are those of {TABLE}")
    return found


def look_at_image(found: Found, name: str, content: bytes, is_sample: bool) -> None:
    """Add what one image file is. Its pixels are read if a colour is still sought."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            refuse_too_many_pixels(image)
            found.modes[image.mode] += 1
            found.transparent += image.has_transparency_data
            height, width = image.height, image.width
            if image.getexif().get(EXIF_ORIENTATION, 1) in TURNED:
                height, width = width, height
            found.sizes[height, width] += 1
            if is_sample or (not found.has_colour and image.mode not in GREYS):
                image.draft("RGB", (64, 64))  # a quarter of a JPEG's time, the same colours
                look_at_pixels(found, image, is_sample)
    except BadImageError as fault:
        found.bad.append(f"{name}: {fault}")
    except UnidentifiedImageError:
        found.bad.append(
            f"{name}: no image of a known format: it starts with {content[:8].hex(' ')}"
        )
    except Exception as fault:  # a damaged file makes Pillow raise of many kinds
        found.bad.append(f"{name}: damaged: {str(fault) or type(fault).__name__}")


def look_at_pixels(found: Found, image: Image.Image, is_sample: bool) -> None:
    if image.mode not in GREYS and not found.has_colour:
        visible = np.asarray(image.convert("RGBA"))
        visible = visible[visible[..., 3] > 0][:, :3]
        found.has_colour = bool((visible != visible[:, :1]).any())
    if is_sample and not image.has_transparency_data and not image.mode.startswith(("I", "F")):
        grey = np.asarray(image.convert("L"))
        found.corners.append(float(np.median(grey[[0, 0, -1, -1], [0, -1, 0, -1]])))
