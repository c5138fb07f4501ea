"""What a backbone makes of each image, and of augmented views of it: computed once, then kept.

ONNX Runtime computes them: with any batch and any number of threads it gives the same bits, and
TensorFlow does not. So a row that was kept is the row that would be computed.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import onnxruntime
import tensorflow as tf

from stages.train import augmentation as augmentation_module
from stages.train.augmentation import draw_transformations, transform_images
from stages.train.feature_store import FeatureStore, Row
from stages.train.onnx_graph import make_onnx
from stages.train.onnx_session import open_session, run_batch
from stages.train.prediction import images_per_batch
from stages.train.threads import available_cores

if TYPE_CHECKING:
    from stages.run.params import Augmentation

BLOCK_IMAGES = 256  # read, computed and kept at once
PROCESSORS = Path("/proc/cpuinfo")  # Linux alone has it
KIND_OF_PROCESSOR = ("vendor_id", "model name", "flags", "CPU part", "Features")

Bytes = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]


class Views(NamedTuple):
    """The views of an image: itself first, then augmented ones, by chance of the seed."""

    number: int
    augmentation: Augmentation | None = None
    background: int | Sequence[int] = 0
    seed: int = 0

    def describe(self) -> str:
        return f", {self.number} views of each" if self.number > 1 else ""


ITSELF = Views(1)


class FeatureReader:
    """Computes or finds the features of images (count, height, width[, 3]), uint8."""

    def __init__(self, backbone: keras.Model, store: FeatureStore) -> None:
        content = make_onnx(backbone)
        self.store = store
        self.session = open_session(content, threads=1)  # the images share the cores
        self.batch = images_per_batch(backbone)
        self.width = backbone.output.shape[1]
        self.name = hash_of(content, onnxruntime.__version__, kind_of_processor())

    def read(self, images: Bytes, views: Views = ITSELF) -> Features:
        """Features (images * views, width): each view of the first image, then of the second ..."""
        start, computed = time.perf_counter(), 0
        features = np.empty((len(images) * views.number, self.width), np.float32)
        for first, block in read_blocks(images):
            rows, new = self.read_block(block, views)
            features[first * views.number :][: len(rows)] = rows
            computed += new
        kept = f"not kept: {self.store.fault}" if self.store.fault else f"kept in {self.store.path}"
        print(
            f"Features of {len(images):,} images{views.describe()}: {computed:,} computed in "
            f"{time.perf_counter() - start:.0f} s, {len(features) - computed:,} known ({kept})",
            flush=True,
        )
        return features

    def read_block(self, images: Bytes, views: Views) -> tuple[Features, int]:
        """The features of a few images, and how many of them had to be computed."""
        digests = [hashlib.sha256(image.tobytes()).digest() for image in images]
        names = [self.name, *(self.name_of_view(view, views) for view in range(1, views.number))]
        keys = [hashlib.sha256(name + digest).digest() for digest in digests for name in names]
        rows = self.store.read(keys)
        lacking = {key: place for place, key in enumerate(keys) if key not in rows}
        if lacking:
            pixels = np.stack(
                [
                    view_image(images[image], digests[image], view, views)
                    for image, view in (divmod(place, views.number) for place in lacking.values())
                ]
            )
            new: dict[bytes, Row] = dict(zip(lacking, self.compute(pixels), strict=True))
            self.store.write(new)
            rows |= new
        return np.stack([rows[key] for key in keys]), len(lacking)

    def name_of_view(self, view: int, views: Views) -> bytes:
        """A name for all that decides what an augmented view gives, but for the image."""
        files = (str(augmentation_module.__file__), __file__)
        code = [Path(file).read_text(encoding="utf-8") for file in files]
        values = [vars(views.augmentation), views.background, views.seed, view, tf.__version__]
        return hash_of(self.name, *code, json.dumps(values, sort_keys=True))

    def compute(self, images: Bytes) -> Features:
        """Features (count, width), on all cores: each takes the next batch."""
        batches = [
            images[start : start + self.batch] for start in range(0, len(images), self.batch)
        ]
        with ThreadPoolExecutor(available_cores()) as threads:
            return np.concatenate(
                list(threads.map(lambda batch: run_batch(self.session, batch), batches))
            )


def read_blocks(images: Bytes) -> Iterator[tuple[int, Bytes]]:
    """The images by blocks, each with its first number.

    Of an array mapped from a file, each block is mapped alone: pages that were read would count as
    this process's memory until the end.
    """
    for start in range(0, len(images), BLOCK_IMAGES):
        count = min(BLOCK_IMAGES, len(images) - start)
        if isinstance(images, np.memmap) and images.filename:
            place = images.offset + start * images.strides[0]
            shape = (count, *images.shape[1:])
            yield start, np.array(np.memmap(images.filename, np.uint8, "r", place, shape))
        else:
            yield start, images[start : start + count]


def view_image(image: Bytes, digest: bytes, view: int, views: Views) -> Bytes:
    """A view of an image (height, width[, 3]) of that SHA-256; view 0 is the image.

    One image at a time, by chance of its own: no other image can alter a bit of it.
    """
    if view == 0 or views.augmentation is None:
        return image
    chance_of = hashlib.sha256(digest + view.to_bytes(4)).digest()
    random = np.random.Generator(np.random.Philox(key=[views.seed, int.from_bytes(chance_of[:8])]))
    chance = draw_transformations(random, 1, image.shape[:2], views.augmentation)
    background = tuple(np.broadcast_to(views.background, image.shape[2:] or 1).tolist())
    seen: Bytes = transform_images(image[np.newaxis], *chance, background).numpy()[0]
    return seen


def kind_of_processor() -> str:
    """What decides which of its kernels ONNX Runtime takes, as far as the system tells."""
    if not PROCESSORS.exists():
        return f"{platform.system()} {platform.machine()} {platform.processor()}"
    first, *_ = PROCESSORS.read_text(encoding="utf-8").split("\n\n")
    lines = [line for line in first.splitlines() if line.startswith(KIND_OF_PROCESSOR)]
    return "\n".join(lines)


def hash_of(content: bytes, *words: str) -> bytes:
    """A hash of all of them, each by its own hash: no two lists have the same."""
    parts = [content, *(word.encode() for word in words)]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()
