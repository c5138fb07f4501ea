"""Drawings and photos in MNIST's form."""

import time

import numpy as np
import pytest
from PIL import Image, ImageDraw

from stages.shared import ink
from stages.shared.ink import center_ink, place, resample


def drawn(size: tuple[int, int], lines: list[list[tuple[int, int]]], width: int) -> np.ndarray:
    """Bright ink on 0: (height, width) for a size of (width, height)."""
    image = Image.new("L", size)
    for line in lines:
        ImageDraw.Draw(image).line(line, fill=255, width=width, joint="curve")
    return np.asarray(image)


SEVEN = drawn((200, 300), [[(40, 60), (150, 60), (90, 250)]], 20)


def box_of(image: np.ndarray, level: int = 40) -> tuple[int, int, int, int]:
    rows = np.flatnonzero((image > level).any(axis=1))
    columns = np.flatnonzero((image > level).any(axis=0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def test_ink_fills_a_box_of_20_pixels_with_its_centre_of_mass_in_the_middle() -> None:
    result = center_ink(SEVEN, 28, 28)
    assert result.dtype == np.uint8
    top, bottom, left, right = box_of(result)
    assert bottom - top in (20, 21)
    assert (right - left) / (bottom - top) == pytest.approx(130 / 210, abs=0.1)
    for sums in (result.sum(axis=1), result.sum(axis=0)):  # MNIST's middle is pixel 14 of 0 to 27
        assert (sums * np.arange(28)).sum() / sums.sum() == pytest.approx(14, abs=0.6)


def test_polarity_and_place_and_size_make_no_difference() -> None:
    result = center_ink(SEVEN, 28, 28)
    assert np.array_equal(center_ink(255 - SEVEN, 28, 28), result)
    assert np.array_equal(center_ink(np.pad(SEVEN, ((0, 90), (120, 0))), 28, 28), result)
    doubled = center_ink(SEVEN.repeat(2, axis=0).repeat(2, axis=1), 28, 28)
    assert np.abs(doubled.astype(int) - result).max() <= 40


def test_pale_ink_on_grey_is_stretched_to_full_contrast() -> None:
    pale = (180 - (SEVEN > 127) * 30).astype(np.uint8)
    assert center_ink(pale, 28, 28).max() == 255


@pytest.mark.parametrize("width", [2, 8, 20, 60])
def test_strokes_become_about_as_thick_as_those_of_mnist(width: int) -> None:
    bar = drawn((300, 300), [[(40, 60), (260, 60), (260, 240), (40, 240)]], width)
    result = center_ink(bar, 28, 28) / 255
    top, bottom, _, _ = box_of(center_ink(bar, 28, 28))
    across = result[top : (top + bottom) // 2, 14].sum()  # the upper bar, in pixels
    assert 1.4 <= across <= 4.5


def test_an_image_of_the_form_is_returned_as_it_is() -> None:
    formed = center_ink(SEVEN, 28, 28)
    assert np.array_equal(center_ink(formed, 28, 28), formed)
    assert np.array_equal(center_ink(255 - formed, 28, 28), formed)


@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (3, 500), (2000, 1)])
@pytest.mark.parametrize("level", [0, 130, 255])
def test_an_image_without_ink_is_blank(shape: tuple[int, int], level: int) -> None:
    assert not center_ink(np.full(shape, level, np.uint8), 28, 28).any()


def test_noise_alone_is_no_ink() -> None:
    noise = np.random.default_rng(0).normal(150, 6, (400, 300)).clip(0, 255).astype(np.uint8)
    assert not center_ink(noise, 28, 28).any()


@pytest.mark.parametrize("place", [(0, 0), (50, 20), (99, 79)])
def test_ink_of_one_pixel_lands_in_the_middle(place: tuple[int, int]) -> None:
    dot = np.zeros((100, 80), np.uint8)
    dot[place] = 255
    result = center_ink(dot, 28, 28)
    assert result[14, 14] > 200
    assert 0 < np.count_nonzero(result) <= 24 * 24


@pytest.mark.parametrize(("height", "width"), [(28, 28), (12, 10), (20, 40), (64, 64)])
def test_the_result_has_the_size_asked_for(height: int, width: int) -> None:
    result = center_ink(SEVEN, height, width)
    assert result.shape == (height, width)
    top, bottom, left, right = box_of(result)
    assert abs(max((bottom - top) / height, (right - left) / width) - 20 / 28) < 0.2


def test_random_images_of_any_shape_are_read() -> None:
    random = np.random.default_rng(1)
    for _ in range(60):
        shape = random.integers(1, 90, 2)
        image = random.integers(0, 256, shape, dtype=np.uint8)
        assert center_ink(image, 28, 28).shape == (28, 28)


def test_a_photo_of_12_megapixels_in_uneven_light_takes_less_than_a_second() -> None:
    y, x = np.indices((4000, 3000)) / 4000
    light = 190 - 60 * x - 40 * y
    pen = np.asarray(Image.fromarray(SEVEN).resize((1200, 1800)).resize((3000, 4000))) > 127
    noise = np.random.default_rng(0).normal(0, 4, light.shape)
    photo = (light * np.where(pen, 0.4, 1) + noise).astype(np.uint8)
    start = time.monotonic()
    result = center_ink(photo, 28, 28)
    assert time.monotonic() - start < 1
    plain = center_ink(np.where(pen, 0, 255).astype(np.uint8), 28, 28)
    assert np.abs(result.astype(int) - plain).mean() < 8


@pytest.mark.parametrize("chalk", [False, True])
@pytest.mark.parametrize("slope", [(0.7, 0), (0.35, 0.35), (0, -0.7)])
def test_light_that_falls_off_is_no_ink(slope: tuple[float, float], chalk: bool) -> None:
    """As of a lamp at one side, with darker corners: the photo gives what the drawing gives."""
    y, x = np.indices((400, 300)) / np.array([399, 299]).reshape(2, 1, 1) - 0.5
    light = (0.65 - slope[0] * y - slope[1] * x) * (1 - 0.4 * (x**2 + y**2))
    pen = np.pad(SEVEN, 50) > 127
    noise = np.random.default_rng(0).normal(0, 2, light.shape)
    grey = light * (np.where(pen, 190, 60) if chalk else np.where(pen, 70, 200)) + noise
    result = center_ink(grey.clip(0, 255).astype(np.uint8), 28, 28)
    assert np.abs(result.astype(int) - center_ink(SEVEN, 28, 28)).mean() < (13 if chalk else 8)


def test_mnists_form_is_seen_at_once_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    formed = center_ink(SEVEN, 28, 28)
    assert ink.is_formed(formed, 28, 28)
    touching = formed.copy()
    touching[0, 3] = 9
    for other in (255 - formed, touching, formed[:27], np.roll(formed, 5, axis=0), formed // 2):
        assert not ink.is_formed(other, 28, 28)
    monkeypatch.setattr(ink, "is_formed", lambda *_: False)
    assert np.array_equal(center_ink(formed, 28, 28), formed)


def test_resampling_keeps_a_level_and_is_exact() -> None:
    level = np.full((7, 3), 100.0)
    assert (resample(level, 1, 6, 2)[:, 0] == 100).all()
    ramp = np.arange(0, 80, 10.0)[:, np.newaxis]
    assert resample(ramp, 0, 8, 8)[:, 0].tolist() == ramp[:, 0].tolist()
    assert resample(ramp, 2, 4, 4)[:, 0].tolist() == [18, 23, 28, 33]


def test_a_drawing_longer_than_the_image_is_cut() -> None:
    """Strokes that are made thicker need room in both directions."""
    assert place(np.ones((145, 33)), 45, 4).shape == (45, 4)
    assert place(np.ones((33, 145)), 4, 45).shape == (4, 45)
