"""Any image file comes to the network's size and colours, or it is said why it cannot."""

import io
import struct
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import bad_files, encode, images_section
from PIL import Image

from stages.shared.image_reading import (
    TURNS,
    BadImageError,
    fit_pixels,
    read_image,
    refuse_bombs,
)

RANDOM = np.random.default_rng(5)
GREY = RANDOM.integers(0, 256, (12, 10), np.uint8)
COLOUR = RANDOM.integers(0, 256, (12, 10, 3), np.uint8)
RGB = {"colour": "rgb", "background": [9, 8, 7]}
SQUARE = {"height": 8, "width": 8}


@pytest.fixture(autouse=True)
def as_in_a_stage() -> Iterator[None]:
    with warnings.catch_warnings():
        refuse_bombs()
        yield


def save(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


# Formats and colours


LOSSLESS = ["PNG", "BMP", "TIFF", "PPM", "TGA", "JPEG2000"]


@pytest.mark.parametrize(
    ("kind", "colours"),
    [(kind, colours) for kind in LOSSLESS for colours in ("grey", "rgb")] + [("GIF", "grey")],
)
def test_a_lossless_file_of_the_right_size_gives_its_pixels(kind, colours):
    options = {"irreversible": False} if kind == "JPEG2000" else {}
    pixels = GREY if colours == "grey" else COLOUR
    found = read_image(
        encode(pixels, kind, **options), images_section(**(RGB if colours == "rgb" else {}))
    )
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, pixels, strict=True)


def test_lossless_webp_gives_its_pixels():
    content = encode(COLOUR, "WEBP", lossless=True)
    np.testing.assert_array_equal(read_image(content, images_section(**RGB)), COLOUR)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
def test_a_lossy_file_comes_close(kind):
    smooth = np.add.outer(np.arange(12), np.arange(10)).astype(np.uint8) * 10
    found = read_image(encode(smooth, kind, quality=95), images_section())
    assert np.abs(found.astype(int) - smooth).max() < 12


def test_grey_becomes_colour_and_colour_grey():
    found = read_image(encode(GREY), images_section(**RGB))
    np.testing.assert_array_equal(found, np.repeat(GREY[..., None], 3, axis=2))
    found = read_image(encode(COLOUR), images_section())
    np.testing.assert_array_equal(found, np.asarray(Image.fromarray(COLOUR).convert("L")))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_rounded_to_eight(kind):
    deep = (GREY.astype(np.uint16) * 257) + np.uint16(100)
    deep[GREY == 255] = 65_535
    if kind == "PPM":
        content = b"P5\n10 12\n65535\n" + deep.astype(">u2").tobytes()
    else:
        content = encode(deep, kind)
    np.testing.assert_array_equal(read_image(content, images_section()), GREY)


def test_the_values_of_sixteen_bits_are_not_cut_off():
    found = read_image(encode(np.full((12, 10), 40_000, np.uint16)), images_section())
    assert set(found.ravel()) == {156}


def test_black_and_white_become_0_and_255():
    content = save(Image.fromarray(GREY).point(lambda value: value > 127, mode="1"), "PNG")
    np.testing.assert_array_equal(read_image(content, images_section()), (GREY > 127) * 255)


def test_a_palette_gives_its_colours():
    image = Image.fromarray(COLOUR).quantize(200)
    found = read_image(save(image, "PNG"), images_section(**RGB))
    np.testing.assert_array_equal(found, np.asarray(image.convert("RGB")))


def test_cmyk_becomes_rgb():
    image = Image.new("CMYK", (10, 12), (0, 255, 255, 0))  # red ink
    for kind in ("JPEG", "TIFF"):
        found = read_image(save(image, kind), images_section(**RGB))
        assert np.abs(found.astype(int) - [255, 0, 0]).max() < 6
    assert read_image(save(image, "TIFF"), images_section()).shape == (12, 10)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "L", "RGB"])
def test_the_stated_background_shows_where_an_image_is_transparent(mode):
    """By an alpha channel, by a palette's transparent entry or by a colour that stands for it."""
    image = Image.new("RGBA", (10, 12), (200, 200, 200, 255))
    image.paste((50, 50, 50, 0), (0, 0, 5, 12))
    options: dict[str, object] = {}
    if mode == "P":
        image = image.convert("RGB").quantize(2)
        options["transparency"] = image.getpixel((0, 0))
    elif mode in ("L", "RGB"):
        image = image.convert(mode)
        options["transparency"] = image.getpixel((0, 0))
    else:
        image = image.convert(mode)
    content = save(image, "PNG", **options)
    grey = read_image(content, images_section(background=77))
    assert set(grey[:, :5].ravel()) == {77}
    assert set(grey[:, 5:].ravel()) == {200}
    colour = read_image(content, images_section(**RGB))
    assert {tuple(pixel) for pixel in colour[:, :5].reshape(-1, 3).tolist()} == {(9, 8, 7)}


def test_half_transparent_is_half_way():
    content = save(Image.new("LA", (10, 12), (200, 128)), "PNG")
    assert set(read_image(content, images_section(background=0)).ravel()) == {100}


def test_of_several_frames_it_is_the_first():
    frames = [Image.new("L", (10, 12), value) for value in (10, 200)]
    for kind in ("GIF", "TIFF", "WEBP", "PNG"):
        content = save(frames[0], kind, save_all=True, append_images=frames[1:])
        assert np.abs(read_image(content, images_section()).astype(int) - 10).max() < 3


# Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_an_image_is_turned_as_its_exif_block_says(kind, orientation):
    """A dark corner of a bright image comes to the top left."""
    upright = np.full((40, 24), 220, np.uint8)
    upright[:10, :6] = 10
    image = Image.fromarray(upright)
    back = {None: None, 6: 8, 8: 6}
    if orientation in TURNS:
        image = image.transpose(TURNS[back.get(orientation, orientation)])
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = read_image(save(image, kind, exif=exif), images_section(height=20, width=12))
    assert found[:4, :2].max() < 60
    assert found[6:].min() > 160
    assert found[:, 4:].min() > 160


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0nonsense",
        b"Exif\0\0MM\0*\0\0\0\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(30),
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x01abcd\0\0\0\0",
    ],
)
def test_a_corrupt_exif_block_is_no_reason_to_refuse_an_image(block):
    whole = encode(GREY, "JPEG")
    content = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + whole[2:]
    np.testing.assert_array_equal(
        read_image(content, images_section()), read_image(whole, images_section())
    )


# Sizes


def test_pad_keeps_the_proportions_and_shows_the_background_beside():
    found = read_image(encode(np.full((40, 20), 200, np.uint8)), images_section(**SQUARE))
    assert set(found[:, 2:6].ravel()) == {200}
    assert set(found[:, :2].ravel()) | set(found[:, 6:].ravel()) == {0}
    found = read_image(encode(np.full((1, 500), 200, np.uint8)), images_section(**SQUARE))
    assert (found == 200).sum() == 8


def test_crop_takes_the_middle():
    wide = np.zeros((16, 48), np.uint8)
    wide[:, 16:32] = 200
    found = read_image(encode(wide), images_section(**SQUARE, fit="crop"))
    assert found[:, 1:-1].min() > 180


def test_stretch_takes_all():
    wide = np.zeros((16, 48), np.uint8)
    wide[:, 24:] = 200
    found = read_image(encode(wide), images_section(**SQUARE, fit="stretch"))
    assert found[:, :3].max() < 30
    assert found[:, 5:].min() > 170


@given(
    height=st.integers(1, 400), width=st.integers(1, 400),
    target=st.tuples(st.integers(4, 64), st.integers(4, 64)),
    fit=st.sampled_from(["pad", "crop", "stretch", "ink"]),
)  # fmt: skip
@settings(deadline=None, max_examples=150)
def test_any_size_comes_to_any_other(height, width, target, fit):
    pixels = np.zeros((height, width), np.uint8)
    pixels[height // 3 :, width // 3 :] = 255
    section = images_section(height=target[0], width=target[1], fit=fit)
    assert fit_pixels(pixels, section).shape == target


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_a_large_jpeg_read_at_a_smaller_scale_is_as_good_as_the_whole(fit):
    smooth = np.add.outer(np.arange(600) // 5, np.arange(400) // 4).astype(np.uint8)
    section = images_section(height=24, width=24, fit=fit)
    small = read_image(encode(smooth, "JPEG", quality=95), section)
    whole = fit_pixels(smooth, section)
    assert np.abs(small.astype(int) - whole).max() <= 4


def test_an_array_of_the_right_size_is_taken_as_it_is():
    assert fit_pixels(GREY, images_section(fit="ink")) is GREY
    assert fit_pixels(COLOUR, images_section(**RGB)) is COLOUR


# Bad ones


@pytest.mark.parametrize(("name", "content"), bad_files().items(), ids=list(bad_files()))
def test_a_bad_file_is_refused_with_its_reason(name, content):
    with pytest.raises(BadImageError) as caught:
        read_image(content, images_section())
    reason = {
        "truncated.jpg": "truncated",
        "text.jpg": "no image of a known format: it starts with 74 68 65",
        "page.png": "no image of a known format",
        "drawing.svg": "no image of a known format",
        "archive.png": "it starts with 50 4b 03 04",
        "script.eps": "no image of a known format: it starts with 25 21 50 53",
        "float.tif": "mode F: values of 32 bits have no stated black and white",
        "long.tif": "mode I: values of 32 bits",
        "bomb.png": "more than 89,478,485 pixels",
        "zeros.webp": "no image of a known format",
    }
    assert reason.get(name, "") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch):
    content = encode(GREY)
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("decoded"))
    monkeypatch.setattr("stages.shared.image_reading.MOST_PIXELS", 119)
    with pytest.raises(BadImageError, match="10 x 12 pixels, more than 119 in all"):
        read_image(content, images_section())


SAMPLES = {
    kind: encode(np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8), kind)
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "TGA", "JPEG2000", "AVIF")
} | {"GIF": encode(GREY, "GIF"), "ICO": encode(COLOUR, "ICO")}


@given(kind=st.sampled_from(sorted(SAMPLES)), data=st.data())
@settings(deadline=None, max_examples=400)
def test_a_damaged_file_is_an_image_or_refused(kind, data):
    content = bytearray(SAMPLES[kind])
    for _ in range(data.draw(st.integers(0, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    end = len(content) if data.draw(st.booleans()) else cut
    try:
        found = read_image(bytes(content[:end]), images_section())
    except BadImageError:
        return
    assert (found.shape, found.dtype) == ((12, 10), np.uint8)


@given(content=st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_are_an_image_or_refused(content):
    try:
        read_image(content, images_section())
    except BadImageError:
        return
