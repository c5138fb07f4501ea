"""Any image file as the network takes it: what dataset.yaml's section `images` says, done.

preprocess, predict and the server read images by this function alone; the drawing page has its twin
in JavaScript.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from stages.shared.ink import center_ink

if TYPE_CHECKING:
    from stages.run.params import Images

Pixels = npt.NDArray[np.uint8]

# No format that starts another program, as EPS does Ghostscript.
FORMATS = (
    *("PNG", "JPEG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "PPM", "ICO"),
    *("JPEG2000", "AVIF", "TGA"),
)
MOST_PIXELS = 89_478_485  # of one image, Pillow's own limit: a quarter of a gigabyte in colour
RESAMPLING = Image.Resampling.LANCZOS
DRAFT_SCALE = 2  # a JPEG may be decoded at a smaller size, but at least this much larger
EXIF_ORIENTATION = 0x0112  # the tag's number
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
WITHOUT_RANGE = {"I", "F"}  # modes of 32 bits, for which no file says what is black and white


class BadImageError(Exception):
    """Why an image cannot be read, in a few words."""


def refuse_bombs() -> None:
    """Let Pillow raise its warning of a decompression bomb, and keep its others to itself.

    A process calls it once.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def read_image(content: bytes, images: Images) -> Pixels:
    """An image file's content as uint8 (height, width), or (height, width, 3) for colour: rgb.

    Turned as its EXIF orientation says, laid over the background where it is transparent, brought
    to grey or RGB, then to the size by `images.fit`. Of several frames it is the first.
    Raises BadImageError with the reason if that cannot be done.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as file:
            refuse_too_many_pixels(file)
            if images.fit != "ink":
                side = DRAFT_SCALE * max(images.height, images.width)
                file.draft(mode_of(images), (side, side))
            file.load()
            return fit_image(to_colour(turn_upright(file), images), images)
    except (BadImageError, MemoryError):
        raise
    except UnidentifiedImageError:
        start = content[:8].hex(" ")
        raise BadImageError(f"no image of a known format: it starts with {start}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImageError(f"more than {MOST_PIXELS:,} pixels") from None
    except Exception as fault:  # a damaged file makes Pillow raise of many kinds
        raise BadImageError(f"damaged: {str(fault) or type(fault).__name__}") from None


def fit_pixels(pixels: Pixels, images: Images) -> Pixels:
    """An image that is an array already, uint8 (h, w) or (h, w, 3), brought to colour and size.

    One that has both is returned as it is.
    """
    shape = (images.height, images.width, *([3] if images.colour == "rgb" else []))
    if pixels.shape == shape:
        return pixels
    return fit_image(to_colour(Image.fromarray(pixels), images), images)


def mode_of(images: Images) -> str:
    """Pillow's name of the colours."""
    return "L" if images.colour == "grey" else "RGB"


def refuse_too_many_pixels(image: Image.Image) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise BadImageError(
            f"{image.width:,} x {image.height:,} pixels, more than {MOST_PIXELS:,} in all"
        )


def turn_upright(image: Image.Image) -> Image.Image:
    """The image as its EXIF orientation says; a damaged EXIF block says nothing."""
    try:
        turn = TURNS.get(image.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:  # Pillow raises of many kinds here, too; the image is whole
        return image
    return image if turn is None else image.transpose(turn)


def to_colour(image: Image.Image, images: Images) -> Image.Image:
    """The image in mode L or RGB, over the background where it is transparent."""
    if image.mode == "I" and image.format == "PPM":  # which has 16 bits, whatever the mode says
        image = Image.fromarray(to_eight_bits(np.asarray(image)))
    if image.mode in WITHOUT_RANGE:
        raise BadImageError(f"mode {image.mode}: values of 32 bits have no stated black and white")
    if image.mode.startswith("I;16"):
        image = Image.fromarray(to_eight_bits(np.asarray(image)))
    if image.has_transparency_data:
        grey = images.background
        colour = (grey, grey, grey) if isinstance(grey, int) else tuple(grey)
        under = Image.new("RGBA", image.size, (*colour, 255))
        image = Image.alpha_composite(under, image.convert("RGBA"))
    mode = mode_of(images)
    try:
        return image if image.mode == mode else image.convert(mode)
    except ValueError:
        raise BadImageError(f"mode {image.mode}: cannot be brought to {mode}") from None


def to_eight_bits(values: npt.NDArray[np.generic]) -> Pixels:
    """Values from 0 to 65,535 as the nearest from 0 to 255; Pillow would cut them off at 255."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def fit_image(image: Image.Image, images: Images) -> Pixels:
    """The image, of the right colours, at the size that `images` says."""
    size = images.width, images.height
    match images.fit:
        case "ink":
            return center_ink(np.asarray(image), images.height, images.width)
        case _ if image.size == size:
            return np.asarray(image)
        case "stretch":
            return np.asarray(image.resize(size, RESAMPLING))
        case "crop":
            return np.asarray(image.resize(size, RESAMPLING, box=central_box(image.size, size)))
    scale = min(images.width / image.width, images.height / image.height)
    inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    background = images.background
    whole = Image.new(
        image.mode, size, background if isinstance(background, int) else tuple(background)
    )
    corner = (images.width - inner[0]) // 2, (images.height - inner[1]) // 2
    whole.paste(image.resize(inner, RESAMPLING), corner)
    return np.asarray(whole)


def central_box(
    size: tuple[int, int], target: tuple[int, int]
) -> tuple[float, float, float, float]:
    """The largest box of the target's proportions in the middle of an image: left, top, ..."""
    scale = min(size[0] / target[0], size[1] / target[1])
    width, height = min(size[0], target[0] * scale), min(size[1], target[1] * scale)
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return left, top, left + width, top + height
