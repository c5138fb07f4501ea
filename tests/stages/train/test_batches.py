"""The training input: which row comes when, and in which form."""

import time

import numpy as np
import pytest
from conftest import CLASSES, augmentation, tiny_images

from stages.train.batches import Batches

IMAGES, LABELS = tiny_images(50, seed=3)
EVERYTHING = augmentation(rotation=20, translation=2, zoom=0.2, shear=0.2, elastic=1.0, flip=True)


def batches(seed: int | None = None, **options: object) -> Batches:
    return Batches([(IMAGES, LABELS)], len(CLASSES), batch_size=16, seed=seed, **options)


def epoch_of(source: Batches, epoch: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """All images and one-hot labels of an epoch, as TensorFlow reads them."""
    source.start_epoch(epoch)
    images, labels = zip(*source.dataset().as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def orders_of(seed: int | None, *epochs: int) -> list[np.ndarray]:
    source, orders = batches(seed), []
    for epoch in epochs:
        source.start_epoch(epoch)
        orders.append(source.order)
    return orders


def test_an_epoch_has_each_row_once():
    images, _ = epoch_of(batches(seed=1))
    assert sorted(image.tobytes() for image in images) == sorted(
        image.tobytes() for image in IMAGES
    )


def test_images_and_labels_stay_together():
    for image, row in zip(*epoch_of(batches(seed=1)), strict=True):
        (found,) = (index for index in range(50) if (IMAGES[index] == image).all())
        assert row.argmax() == LABELS[found]


def test_each_epoch_has_an_order_of_its_own():
    first, second, third = orders_of(1, 0, 1, 2)
    for one, other in [(first, second), (second, third), (first, third)]:
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.5
    for order in (first, second, third):
        assert abs(np.corrcoef(order, np.arange(50))[0, 1]) < 0.5


def test_an_epoch_is_the_same_whichever_came_before():
    np.testing.assert_array_equal(epoch_of(batches(seed=1), 2)[0], epoch_of(batches(seed=1), 2)[0])
    source = batches(seed=1)
    epoch_of(source, 0)
    np.testing.assert_array_equal(epoch_of(source, 2)[0], epoch_of(batches(seed=1), 2)[0])


def test_the_order_does_not_depend_on_global_random_states():
    (once,) = orders_of(1, 0)
    np.random.seed(99)  # noqa: NPY002  # the state that it must not read
    np.testing.assert_array_equal(orders_of(1, 0)[0], once)


def test_seeds_differ_in_order_also_across_epochs():
    for one in orders_of(1, 0, 1, 2):
        for two in orders_of(2, 0, 1, 2):
            assert (one != two).any()


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_every_seed_that_params_may_have_is_taken(seed):
    (order,) = orders_of(seed, 0)
    np.testing.assert_array_equal(np.sort(order), np.arange(50))
    assert (order != np.arange(50)).any()
    epoch_of(batches(seed, augmentation=EVERYTHING))


def test_without_a_seed_the_rows_stay_in_order():
    source = batches(augmentation=EVERYTHING)
    for epoch in (0, 1):
        np.testing.assert_array_equal(epoch_of(source, epoch)[0], IMAGES)


def test_labels_are_one_hot():
    source = Batches([(IMAGES[:2], np.array([5, 0], np.uint8))], 10, batch_size=2)
    _images, one_hot = epoch_of(source)
    assert one_hot.dtype == np.float32
    assert one_hot.tolist() == [[0, 0, 0, 0, 0, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(16, [16, 16, 16, 2]), (25, [25, 25]), (50, [50]), (64, [50])]
)
def test_the_last_batch_holds_what_is_left(batch_size, sizes):
    source = Batches([(IMAGES, LABELS)], len(CLASSES), batch_size)
    assert [len(images) for images, _ in source.dataset().as_numpy_iterator()] == sizes
    assert len(source) == source.dataset().cardinality() == len(sizes)


def test_mapped_arrays_give_plain_batches(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    np.save(tmp_path / "labels.npy", LABELS)
    mapped = tuple(
        np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("images", "labels")
    )
    images, _ = epoch_of(Batches([mapped], len(CLASSES), 16, seed=4))
    np.testing.assert_array_equal(images, epoch_of(batches(seed=4))[0])
    assert images.dtype == np.uint8  # a quarter of float32 on the way to the network


def test_parts_are_as_one():
    """The training and the validation images with train.refit."""
    parts = [(IMAGES[:7], LABELS[:7]), (IMAGES[7:30], LABELS[7:30]), (IMAGES[30:], LABELS[30:])]
    in_parts = Batches(parts, len(CLASSES), 16, seed=4)
    for one, other in zip(epoch_of(in_parts, 1), epoch_of(batches(seed=4), 1), strict=True):
        np.testing.assert_array_equal(one, other)


# Augmentation


def test_augmented_images_belong_to_seed_and_epoch():
    source = batches(seed=1, augmentation=EVERYTHING)
    first, second = epoch_of(source, 0)[0], epoch_of(source, 1)[0]
    np.testing.assert_array_equal(first, epoch_of(source, 0)[0])
    assert (first != second).any()
    assert (first != epoch_of(batches(seed=2, augmentation=EVERYTHING), 0)[0]).any()


def test_one_image_is_new_in_each_epoch_and_for_each_of_its_places():
    same = np.repeat(IMAGES[:1], 50, axis=0)
    source = Batches([(same, LABELS)], len(CLASSES), 16, seed=0, augmentation=EVERYTHING)
    variants = {image.tobytes() for epoch in range(3) for image in epoch_of(source, epoch)[0]}
    assert len(variants) > 140


def test_augmentation_that_is_off_changes_nothing():
    images, _ = epoch_of(batches(seed=1, augmentation=augmentation()))
    np.testing.assert_array_equal(images, epoch_of(batches(seed=1))[0])


def test_labels_stay_with_their_augmented_images():
    """The bar's place is the class: a few pixels of translation up and down do not move it."""
    little = augmentation(rotation=1)
    images, one_hot = epoch_of(batches(seed=1, augmentation=little))
    columns = images.astype(float).mean(axis=1)
    middles = np.stack([columns[:, 1 + 3 * c : 3 + 3 * c].mean(axis=1) for c in range(3)], axis=1)
    np.testing.assert_array_equal(middles.argmax(axis=1), one_hot.argmax(axis=1))


def test_the_end_of_an_epoch_waits_for_no_timer():
    batches_of_an_epoch = iter(batches(seed=1).dataset())
    next(batches_of_an_epoch)
    time.sleep(0.8)  # TensorFlow's tuner, which is off, would have its next turn after 1.27 s
    start = time.monotonic()
    del batches_of_an_epoch
    assert time.monotonic() - start < 0.2


def test_colour_images_and_labels_above_255_come_through():
    images = np.random.default_rng(0).integers(0, 256, (50, 6, 5, 3), dtype=np.uint8)
    labels = (np.arange(50) * 19).astype(np.uint16)
    parts = [(images[:20], labels[:20]), (images[20:], labels[20:])]
    source = Batches(parts, 932, 16, 1, EVERYTHING, [9, 8, 7])
    assert source.background == (9, 8, 7)
    found, one_hot = epoch_of(source)
    assert found.shape == images.shape
    assert sorted(one_hot.argmax(axis=1)) == labels.tolist()
    plain, _ = epoch_of(Batches(parts, 932, 16))
    np.testing.assert_array_equal(plain, images)


def test_each_image_has_the_weight_of_its_class():
    weights = np.array([0.5, 2.0, 1.0], np.float32)
    for batch, of_batch in zip(
        *[
            list(batches(seed=1, class_weights=w).dataset().as_numpy_iterator())
            for w in (None, weights)
        ],
        strict=True,
    ):
        np.testing.assert_array_equal(of_batch[0], batch[0])
        np.testing.assert_array_equal(of_batch[2], weights[batch[1].argmax(axis=1)])


def test_large_images_are_read_few_at_once():
    large = np.broadcast_to(np.uint8(7), (4000, 512, 512, 3))
    source = Batches([(large, np.zeros(4000, np.uint8))], 2, batch_size=8)
    assert source.batches_per_call * 8 * 512 * 512 * 3 <= 2**26
    assert Batches([(IMAGES, LABELS)], 3, batch_size=128).batches_per_call == 8
