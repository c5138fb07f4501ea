"""The page of suspects: one HTML file that needs no network, images included."""

import base64
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tools.audit.decisions import Suspect, describe_reason

LARGEST_SIDE = 160  # pixels of an image on the page; larger ones are scaled down
PIXEL_ART_SIDE = 64  # pixels of images that are scaled up without smoothing
MOST_CLASSES = 3  # whose probabilities a suspect shows
MOST_PAIRS = 200  # near-duplicates on the page; the CSV file has all of them
PARTS = Path(__file__).parent

Bytes = npt.NDArray[np.uint8]


def compose_page(words: dict[str, Any], suspects: Iterable[dict[str, Any]]) -> str:
    """The HTML of the page: `words` are its texts, `suspects` as `describe_suspect` gives them."""
    data = words | {"suspects": list(suspects)}
    # `</script>` in a class's name must not end the data.
    text = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    page = read_part("page.html")
    for mark, part in (("page.css", read_part("page.css")), ("page.js", read_part("page.js"))):
        page = page.replace(f"/* {mark} */", part)
    return page.replace("/* data */", text)


def read_part(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")


def describe_suspect(suspect: Suspect, image: str, classes: list[str]) -> dict[str, Any]:
    """What the page knows of a suspect; `image` is a data: URL."""
    order = np.argsort(-suspect.probabilities, kind="stable")[:MOST_CLASSES].tolist()
    shares = [[classes[each], round(float(suspect.probabilities[each]), 4)] for each in order]
    if suspect.given not in {classes[each] for each in order}:
        shares[-1] = [suspect.given, round(suspect.of_given, 4)]
    return {
        "image": suspect.image,
        "split": suspect.split,
        "index": suspect.index,
        "given": suspect.given,
        "suggested": suspect.suggested,
        "probabilities": shares,
        "reason": describe_reason(suspect),
        "recorded": suspect.recorded,
        "png": image,
    }


def encode_image(pixels: Bytes) -> str:
    """An image (height, width[, 3]) as a data: URL: PNG, and JPEG of those above 64 pixels."""
    image = Image.fromarray(pixels)
    is_small = max(image.size) <= PIXEL_ART_SIDE
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    file = io.BytesIO()
    kind = "png" if is_small else "jpeg"
    image.save(file, kind, **({"optimize": True} if is_small else {"quality": 88}))
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
