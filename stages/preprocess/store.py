"""Decoded images, kept outside the project's outs, so that adding one decodes one.

A row is found by the SHA-256 of the image file; the folder's name is a hash of how images are read
and of Pillow's version. A row with another checksum than its own counts as absent. So the arrays
have the same bytes with and without this. The folder can be deleted at any time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL

from stages.preprocess.rows import refuse_no_room
from stages.preprocess.source import Numbers, Pixels, Rows, split_rows, weighted_sums
from stages.shared import image_reading, ink

DIGEST_BYTES, CHECKSUM_BYTES = 32, 8
KEY_BYTES = DIGEST_BYTES + CHECKSUM_BYTES


class Store:
    """Two files that grow: pixels, a row an image; keys, of each row its digest and checksum."""

    def __init__(self, folder: Path, shape: tuple[int, ...]) -> None:
        self.folder, self.shape = folder, shape
        self.row_bytes = int(np.prod(shape))
        self.pixels_file, self.keys_file = folder / "pixels", folder / "keys"
        for path in (self.pixels_file, self.keys_file):
            path.touch()
        self.drop_incomplete()

    def __len__(self) -> int:
        return self.keys_file.stat().st_size // KEY_BYTES

    def drop_incomplete(self) -> None:
        """Cut off what a killed run has left: rows without a key, keys without a row."""
        rows = min(len(self), self.pixels_file.stat().st_size // self.row_bytes)
        for path, size in ((self.pixels_file, self.row_bytes), (self.keys_file, KEY_BYTES)):
            with path.open("r+b") as file:
                file.truncate(rows * size)

    def append(self, digests: Pixels, pixels: Pixels) -> None:
        """Add images (count, height, width[, 3]) by their digests (count, 32)."""
        sums = (
            weighted_sums(np.ascontiguousarray(pixels)) if len(pixels) else np.zeros(0, np.uint64)
        )
        keys = np.concatenate([digests, sums[:, np.newaxis].view(np.uint8)], axis=1)
        with self.pixels_file.open("ab") as file:
            file.write(np.ascontiguousarray(pixels).data)
        with self.keys_file.open("ab") as file:
            file.write(keys.data)

    def pixels(self) -> Pixels:
        """Every row, mapped from the file."""
        if not len(self):
            return np.zeros((0, *self.shape), np.uint8)
        return np.memmap(self.pixels_file, np.uint8, "r", shape=(len(self), *self.shape))

    def find(self, digests: Pixels) -> Numbers:
        """The row of each digest (count, 32) whose pixels fit their checksum; -1 without one."""
        keys = np.fromfile(self.keys_file, np.uint8).reshape(-1, KEY_BYTES)
        found = np.full(len(digests), -1, np.int64)
        if not len(keys) or not len(digests):
            return found
        # Eight bytes find the row, all thirty-two confirm it.
        known, wanted = first_bytes(keys), first_bytes(digests)
        # A row that was decoded again, as its first one was damaged, is the last of its digest.
        order = np.argsort(known, kind="stable")
        last = np.searchsorted(known[order], wanted, side="right") - 1
        rows = order[np.maximum(last, 0)]
        same = (last >= 0) & (keys[rows, :DIGEST_BYTES] == digests).all(axis=1)
        good = same & self.are_whole(keys, rows, same)[rows]
        found[good] = rows[good]
        return found

    def are_whole(self, keys: Pixels, rows: Numbers, wanted: npt.NDArray[np.bool_]) -> Any:
        """Whether each row (count,) that is wanted has the pixels of its checksum."""
        whole = np.zeros(len(keys), np.bool_)
        pixels = Rows([self.pixels()])
        for block in split_rows(np.unique(rows[wanted]), self.shape):
            stated = np.ascontiguousarray(keys[block, DIGEST_BYTES:]).view(np.uint64).ravel()
            whole[block] = weighted_sums(pixels[block]) == stated
        return whole

    def refuse_full_disk(self, images: int) -> None:
        """Raise UserError unless there is room for so many more."""
        cure = "Make room; XDG_CACHE_HOME=/that/folder names another place for decoded images"
        refuse_no_room(self.folder, images * (self.row_bytes + KEY_BYTES), cure)


def first_bytes(keys: Pixels) -> npt.NDArray[np.uint64]:
    return np.ascontiguousarray(keys[:, :8]).view(np.uint64).ravel()


@contextmanager
def open_store(cache: Path, shape: tuple[int, ...], images: dict[str, Any]) -> Iterator[Store]:
    """The store of images that are read as the section `images` says; one process at a time."""
    folder = cache / key_of_reading(images)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Store(folder, shape)


def key_of_reading(images: dict[str, Any]) -> str:
    """A name for how images are read: the section, the code that does it, Pillow's version."""
    digest = hashlib.sha256(json.dumps([images, PIL.__version__], sort_keys=True).encode())
    for module in (image_reading, ink):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:16]
