"""Augmentation: each kind does what its name says, by as much as its parameter says."""

import numpy as np
import pytest
from conftest import augmentation
from scipy import ndimage

from stages.train.augmentation import draw_transformations, smoothing_weights, transform_images

HEIGHT, WIDTH = 21, 17  # odd: the middle is a pixel
NO_NOISE = np.zeros((0, 2, 1, 1), np.float32)


def random() -> np.random.Generator:
    return np.random.default_rng(0)


def picture() -> np.ndarray:
    """A smooth picture without symmetry, 0 at its edges."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    spots = [(7, 6, 220), (12, 10, 120), (8, 12, 80)]
    values = sum(high * np.exp(-((y - a) ** 2 + (x - b) ** 2) / 8) for a, b, high in spots)
    return np.where(values < 1, 0, values).astype(np.uint8)


def transformed(images: np.ndarray, **options: object) -> np.ndarray:
    chance = draw_transformations(random(), len(images), images.shape[1:], augmentation(**options))
    return transform_images(images, *chance).numpy()


def by_matrix(image: np.ndarray, matrix: list[list[float]]) -> np.ndarray:
    return transform_images(image[None], np.array([matrix], np.float32), NO_NOISE).numpy()[0]


def middle_of_mass(images: np.ndarray) -> np.ndarray:
    """Rows and columns (count, 2) of the images' centres of mass."""
    return np.array([ndimage.center_of_mass(image.astype(float)) for image in images])


def test_nothing_drawn_is_nothing_changed():
    images = random().integers(0, 256, (5, HEIGHT, WIDTH), dtype=np.uint8)
    np.testing.assert_array_equal(transformed(images), images)


def test_a_whole_pixel_moves_rows_and_columns():
    moved = by_matrix(picture(), [[1, 0, -2], [0, 1, 3]])  # from 2 rows above and 3 columns right
    expected = np.zeros_like(picture())
    expected[2:, :-3] = picture()[:-2, 3:]
    np.testing.assert_array_equal(moved, expected)


def test_a_quarter_turn_about_the_middle():
    square = picture()[:WIDTH]
    turned = by_matrix(square, [[0, -1, 0], [1, 0, 0]])
    assert any((turned == np.rot90(square, k)).all() for k in (1, 3))


def test_what_lies_beyond_the_edges_is_black():
    white = np.full((1, HEIGHT, WIDTH), 255, np.uint8)
    far_away = by_matrix(white[0], [[1, 0, 1000], [0, 1, 0]])
    assert (far_away == 0).all()
    half = by_matrix(white[0], [[1, 0, -0.5], [0, 1, 0]])
    assert (half[0] == 128).all()
    assert (half[1:] == 255).all()


def test_what_lies_beyond_the_edges_is_the_background():
    white = np.full((1, HEIGHT, WIDTH), 255, np.uint8)
    half = np.array([[[1, 0, -0.5], [0, 1, 0]]], np.float32)
    moved = transform_images(white, half, NO_NOISE, (55,)).numpy()[0]
    assert (moved[0] == 155).all()
    assert (moved[1:] == 255).all()


def test_each_channel_is_transformed_like_a_grey_image_on_its_own_background():
    background = (10, 120, 250)
    colour = np.stack([picture(), 255 - picture(), picture() // 2], axis=-1)[None]
    chance = draw_transformations(
        random(), 1, (HEIGHT, WIDTH), augmentation(rotation=40, translation=3, elastic=1.0)
    )
    found = transform_images(colour, *chance, background).numpy()
    assert found.shape == colour.shape
    for channel, beyond in enumerate(background):
        alone = transform_images(colour[..., channel], *chance, (beyond,)).numpy()
        np.testing.assert_array_equal(found[..., channel], alone)
        assert (alone != transform_images(colour[..., channel], *chance, (0,)).numpy()).any()


@pytest.mark.parametrize("turns", [0.4, -1.1])
def test_it_is_scipys_affine_transformation(turns):
    cosine, sine = np.cos(turns), np.sin(turns)
    matrix = np.array([[cosine, -sine], [sine, cosine]]) * 1.1
    shift = np.array([0.7, -1.3])
    middle = np.array([(HEIGHT - 1) / 2, (WIDTH - 1) / 2])
    expected = ndimage.affine_transform(
        picture().astype(float),
        matrix,
        middle + shift - matrix @ middle,
        order=1,
        mode="grid-constant",
    )
    found = by_matrix(picture(), np.column_stack([matrix, shift]).tolist())
    np.testing.assert_allclose(found, expected, atol=0.6)


def test_rotation_keeps_the_middle_and_stays_within_its_limit():
    images = np.repeat(picture()[None], 400, axis=0)
    matrices, _ = draw_transformations(random(), 400, picture().shape, augmentation(rotation=30))
    angles = np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    assert 28 < angles.max() <= 30
    assert -30 <= angles.min() < -28
    assert (matrices[:, :, 2] == 0).all()
    np.testing.assert_allclose(np.linalg.det(matrices[:, :, :2]), 1, atol=1e-5)
    np.testing.assert_array_equal(
        transform_images(images, matrices, NO_NOISE)[0, 10, 8], images[0, 10, 8]
    )


def test_translation_moves_by_up_to_its_pixels():
    images = np.repeat(picture()[None], 400, axis=0)
    moves = middle_of_mass(transformed(images, translation=2)) - middle_of_mass(images)
    assert 1.8 < np.abs(moves).max() <= 2.1
    assert np.abs(moves.mean(axis=0)).max() < 0.2


def test_zoom_scales_by_up_to_its_share():
    matrices, _ = draw_transformations(random(), 400, picture().shape, augmentation(zoom=0.25))
    scales = 1 / np.sqrt(np.linalg.det(matrices[:, :, :2]))
    assert 0.75 <= scales.min() < 0.77
    assert 1.23 < scales.max() <= 1.25


def test_shear_moves_columns_against_each_other_and_keeps_the_area():
    matrices, _ = draw_transformations(random(), 400, picture().shape, augmentation(shear=0.2))
    np.testing.assert_allclose(np.linalg.det(matrices[:, :, :2]), 1, atol=1e-6)
    leanings = matrices[:, 0, 1]
    assert 0.19 < np.abs(leanings).max() <= 0.2
    assert (matrices[:, 0, 0] == 1).all()


def test_half_of_the_images_are_flipped_left_to_right():
    images = np.repeat(picture()[None], 400, axis=0)
    flipped = transformed(images, flip=True)
    mirrored = (flipped == images[:, :, ::-1]).all(axis=(1, 2))
    as_they_were = (flipped == images).all(axis=(1, 2))
    assert (mirrored ^ as_they_were).all()
    assert 150 < mirrored.sum() < 250


def test_elastic_noise_has_its_standard_deviation_in_pixels_everywhere():
    _, noise = draw_transformations(random(), 2000, (HEIGHT, WIDTH), augmentation(elastic=1.5))
    bent = smoothing_weights(HEIGHT) @ noise @ smoothing_weights(WIDTH).T
    np.testing.assert_allclose(bent.std(axis=0), 1.5, rtol=0.1)
    steps = np.diff(bent, axis=2).std()
    assert steps < 0.5  # smooth: neighbours move alike


def test_elastic_bends_an_image():
    bent = transformed(np.repeat(picture()[None], 5, axis=0), elastic=1.0)
    assert (bent != picture()).any(axis=(1, 2)).all()
    assert np.abs(bent.astype(float).sum(axis=(1, 2)) / picture().sum() - 1).max() < 0.5
