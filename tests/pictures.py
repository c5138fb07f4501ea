"""Image files and data sets of them, as people have them, for the tests of fetch and preprocess."""

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from conftest import CLASSES, SHAPE, make_section, tiny_dataset, tiny_files, tiny_images
from PIL import Image

from stages.fetch.main import main as fetch
from stages.preprocess.main import main as preprocess
from stages.run.params import Images, NamedDataset, Preprocess

TAIL = {"validation_fraction": 0.2, "split": "tail", "split_seed": 0}


def images_section(**changes: object) -> Any:
    """The section `images` of dataset.yaml: 12 x 10 grey pixels, padded."""
    height, width = SHAPE
    usual = {"height": height, "width": width, "colour": "grey", "fit": "pad", "background": 0}
    return make_section(Images, **(usual | changes))


def own_dataset(name: str, files: dict[str, object], **changes: Any) -> Any:
    """The tiny data set in another format; `name` is the format's, or its whole section."""
    formats: dict[str, dict[str, object]] = {
        "idx": {"first_label": 0},
        "npz": {"first_label": 0},
        "csv": {"label": "label", "first_label": 0},
        "parquet": {"image": "image", "label": "label", "first_label": 0},
        "folder": {"layout": "classes"},
    }
    stated = {"name": name} | formats[name] | changes.pop("format", {})
    usual = tiny_dataset(tiny_files(), sources=[])
    for section in ("images", "splits"):
        usual[section] = usual[section] | changes.pop(section, {})  # type: ignore[operator]
    values = usual | {"format": stated, "files": files} | changes
    return make_section(NamedDataset, **values, folder="tiny")


def encode(pixels: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    """An image file of an array."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def tiny_pictures() -> dict[str, bytes]:
    """The tiny data set as PNG files in SPLIT/CLASS/, whose names have its order."""
    found = {}
    for split, (images, labels) in (("train", tiny_images(60, 1)), ("test", tiny_images(30, 2))):
        for place, (image, label) in enumerate(zip(images, labels, strict=True)):
            found[f"{split}/{CLASSES[label]}/{place:03}.png"] = encode(image)
    return found


def process(data: Path, dataset: Any, place: Path, **split: object) -> dict[str, bytes]:
    """What fetch and preprocess make of a data set, by the arrays' names.

    Without a corrections.csv it has no corrections.
    """
    fetch(data, place / "raw", dataset)
    section = make_section(Preprocess, **(TAIL | split))
    corrections = data / dataset.folder / "corrections.csv"
    if not corrections.exists():
        corrections.parent.mkdir(parents=True, exist_ok=True)
        corrections.write_text("image,old,new,reason\n", encoding="utf-8")
    preprocess(
        data, place / "raw", place / "processed", place / "reports", dataset, section,
        place / "scratch",
    )  # fmt: skip
    return {path.name: path.read_bytes() for path in (place / "processed").iterdir()}


def load(arrays: dict[str, bytes], name: str) -> np.ndarray:
    found: np.ndarray = np.load(io.BytesIO(arrays[f"{name}.npy"]))
    return found


def bomb() -> bytes:
    """A PNG of 20,000 x 20,000 black pixels in half a megabyte."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(20_001 * 20_000), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def png_of_no_size() -> bytes:
    whole = bytearray(encode(np.zeros((4, 4), np.uint8)))
    whole[16:24] = bytes(8)
    whole[29:33] = struct.pack(">I", zlib.crc32(whole[12:29]))
    return bytes(whole)


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def bad_files() -> dict[str, bytes]:
    """Fifteen kinds of files that are no images to train on, by names that say why."""
    noise = np.random.default_rng(3).integers(0, 256, (40, 40), np.uint8)
    png, jpeg = encode(noise), encode(noise, "JPEG")
    return {
        "truncated.png": png[: len(png) // 2],
        "truncated.jpg": jpeg[: len(jpeg) // 2],
        "truncated.gif": encode(noise, "GIF")[:400],
        "header.png": png[:20],
        "flipped.png": png[:60] + bytes([png[60] ^ 255]) + png[61:],
        "text.jpg": b"these are not the pixels that you look for",
        "page.png": b"<!DOCTYPE html><html><body>Please log in</body></html>",
        "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        "archive.png": zipped({"a.png": png}),
        "script.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n",
        "float.tif": encode(noise.astype(np.float32), "TIFF"),
        "long.tif": encode(noise.astype(np.int32), "TIFF"),
        "bomb.png": bomb(),
        "nothing.png": png_of_no_size(),
        "zeros.webp": bytes(500),
    }
