"""A data set of more images, made from a real one: every image so many times, in IDX files."""

import shutil
from pathlib import Path


def repeat_idx(source: Path, target: Path, times: int) -> None:
    """Write the IDX file with its items repeated as a whole, so that classes stay mixed.

    The header: two zero bytes, the type, the number of dimensions, then each as a big-endian
    32-bit number, the count of items first.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as old, target.open("wb") as new:
        start = old.read(4)
        count = int.from_bytes(old.read(4), "big")
        sizes = old.read(4 * (start[3] - 1))
        new.write(start + (count * times).to_bytes(4, "big") + sizes)
        for _ in range(times):
            old.seek(4 + 4 * start[3])
            shutil.copyfileobj(old, new, 1 << 20)


def repeat_images(raw: Path, target: Path, times: int) -> None:
    """Every IDX file of data/raw, repeated, into `target`."""
    for source in sorted(raw.glob("*.idx")):
        repeat_idx(source, target / source.name, times)
