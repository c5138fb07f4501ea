"""Packs images into one tar and a table beside it, whatever their number.

DVC hashes, pushes and pulls two files in seconds that as 600,000 took hours (dvc#7607).
"""

from __future__ import annotations

import csv
import hashlib
import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from stages.fetch.containers import Container, open_container
from stages.fetch.listing import Listing, list_images
from stages.shared.atomic_write import atomic_write
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from stages.run.params import FolderFormat, OwnImages, PublishedFile

IMAGES, TABLE = "images.tar", "images.csv"
COLUMNS = ("path", "label", "split", "group", "offset", "bytes", "sha256")
BLOCK_BYTES = 512  # a tar's unit
MOST_NAMED = 200  # problems that a message lists; the rest it counts


def pack_images(
    source: Path, file: OwnImages | PublishedFile, layout: FolderFormat, raw: Path
) -> None:
    """Write images.tar and images.csv, their bytes a function of the images' paths and bytes.

    Raises UserError with every problem, or if the number of images or the layout is another than
    dataset.yaml's: DVC runs the stage without a word when a folder it tracks is not there.
    """
    with open_container(source) as container:
        listing = list_images(container)
        refuse_problems(source, listing.problems)
        if not listing.entries:
            raise UserError(
                f"{source}: expected images, found none. If DVC tracks them, `dvc pull` or "
                "`dvc checkout` brings them; `dvc exp run --temp` lacks untracked ones"
            )
        if listing.layout != layout.layout:
            raise UserError(
                f"{source}: expected the layout {layout.layout} of dataset.yaml, found "
                f"{listing.layout}: correct format.layout there"
            )
        expected = getattr(file, "count", len(listing.entries))
        if expected != len(listing.entries):
            raise UserError(
                f"{source}: expected {expected:,} images as dataset.yaml says, found "
                f"{len(listing.entries):,}. If you added or removed some, set the count there; if "
                "not, `dvc checkout` or `dvc pull` brings back what is missing"
            )
        for path in listing.others:
            print(f"left out {path}: no image, and in no class")
        write_pack(container, listing, raw)


def refuse_problems(source: Path, problems: list[str]) -> None:
    """Raise UserError that lists the problems; of very many, the first ones and their number."""
    if problems:
        more = len(problems) - MOST_NAMED
        lines = sorted(problems)[:MOST_NAMED] + ([f"and {more:,} more"] if more > 0 else [])
        raise UserError(
            "\n  ".join([f"{source}: {len(problems):,} problems, nothing was packed:", *lines])
        )


def write_pack(container: Container, listing: Listing, raw: Path) -> None:
    progress = tqdm(listing.entries, "packing", unit=" images", disable=None)
    with atomic_write(raw / IMAGES) as tar, atomic_write(raw / TABLE) as table:
        text = io.TextIOWrapper(table, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for path, label, split, group, file in progress:
            content = container.read(file)
            header = tarfile.TarInfo(path)  # its owner is 0, its time 0, its mode 0644
            header.size = len(content)
            tar.write(header.tobuf(tarfile.PAX_FORMAT, "utf-8"))
            digest = hashlib.sha256(content).hexdigest()
            writer.writerow([path, label, split, group, tar.tell(), len(content), digest])
            tar.write(content)
            tar.write(bytes(-len(content) % BLOCK_BYTES))
        tar.write(bytes(2 * BLOCK_BYTES))
        text.detach()
    print(f"packed {len(listing.entries):,} images, {(raw / IMAGES).stat().st_size:,} bytes")
