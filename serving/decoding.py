"""Reading the images of requests: tiny ones at once, others in a thread."""

import asyncio
import io
from concurrent.futures import Executor

from PIL import Image

from serving.classifier import Classifier, Pixels
from serving.replies import RefusedError
from stages.shared.image_reading import FORMATS, BadImageError

TINY_BYTES = 1 << 14
TINY_PIXELS = 1 << 16
PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def is_tiny(content: bytes) -> bool:
    """Whether it is read so fast that a thread would cost more: a PNG that says it is small.

    The size of other formats takes more than a look at fixed bytes.
    """
    if len(content) > TINY_BYTES or not content.startswith(PNG_START):
        return False
    width, height = int.from_bytes(content[16:20]), int.from_bytes(content[20:24])
    return width * height <= TINY_PIXELS


async def read(
    classifier: Classifier, threads: Executor, content: bytes, most_pixels: int
) -> Pixels:
    """The image as the network takes it. Raises RefusedError if it cannot be read."""
    if is_tiny(content):
        return read_now(classifier, content, most_pixels)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(threads, read_now, classifier, content, most_pixels)


def read_now(classifier: Classifier, content: bytes, most_pixels: int) -> Pixels:
    if not content:
        raise RefusedError(400, "expected an image file as the body, found nothing")
    if not is_tiny(content):
        refuse_too_many_pixels(content, most_pixels)
    try:
        return classifier.read(content)
    except BadImageError as error:
        raise RefusedError(400, f"the image cannot be read: {error}") from None


def refuse_too_many_pixels(content: bytes, most_pixels: int) -> None:
    """By the size that the file states; nothing is decoded for it."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise RefusedError(413, f"the image has more than {most_pixels:,} pixels") from None
    except Exception:  # read_image says why, in its own words
        return
    if width * height > most_pixels:
        size = f"{width:,} x {height:,}"
        raise RefusedError(413, f"the image has {size} pixels, more than {most_pixels:,}")
