"""The training input: which row comes when, and in which form."""

import numpy as np
import pytest
from conftest import CLASSES, tiny_images

from stages.batches import Batches

IMAGES, LABELS = tiny_images(50, seed=3)


def batches(seed: int | None = None, images: np.ndarray = IMAGES) -> Batches:
    return Batches(images, LABELS, len(CLASSES), batch_size=16, seed=seed)


def epochs_of(source: Batches, count: int) -> list[np.ndarray]:
    """The order of the rows in each of the first epochs, asked for as Keras asks."""
    orders = []
    for _ in range(count):
        source.on_epoch_begin()
        orders.append(source.order.copy())
        source.on_epoch_end()
    return orders


def test_an_epoch_has_each_row_once():
    source = batches(seed=1)
    source.on_epoch_begin()
    images = np.concatenate([source[number][0] for number in range(len(source))])
    assert sorted(image.tobytes() for image in images) == sorted(
        image.tobytes() for image in IMAGES
    )


def test_images_and_labels_stay_together():
    source = batches(seed=1)
    source.on_epoch_begin()
    for number in range(len(source)):
        images, one_hot = source[number]
        for image, row in zip(images, one_hot, strict=True):
            (found,) = (index for index in range(50) if (IMAGES[index] == image).all())
            assert row.argmax() == LABELS[found]


def test_each_epoch_has_an_order_of_its_own():
    first, second, third = epochs_of(batches(seed=1), 3)
    for one, other in [(first, second), (second, third), (first, third)]:
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.5
    for order in (first, second, third):
        assert abs(np.corrcoef(order, np.arange(50))[0, 1]) < 0.5


def test_the_order_is_a_function_of_seed_and_epoch():
    once, again = epochs_of(batches(seed=1), 3), epochs_of(batches(seed=1), 3)
    np.testing.assert_array_equal(once, again)
    later = batches(seed=1)
    later.epoch = 2
    np.testing.assert_array_equal(epochs_of(later, 1)[0], once[2])


def test_the_order_does_not_depend_on_global_random_states():
    once = epochs_of(batches(seed=1), 1)
    np.random.seed(99)  # noqa: NPY002  # the state that it must not read
    np.testing.assert_array_equal(epochs_of(batches(seed=1), 1), once)


def test_seeds_differ_in_order_also_across_epochs():
    of_one, of_two = epochs_of(batches(seed=1), 3), epochs_of(batches(seed=2), 3)
    for one in of_one:
        for two in of_two:
            assert (one != two).any()


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_every_seed_that_params_may_have_is_taken(seed):
    (order,) = epochs_of(batches(seed), 1)
    np.testing.assert_array_equal(np.sort(order), np.arange(50))
    assert (order != np.arange(50)).any()


def test_without_a_seed_the_rows_stay_in_order():
    source = batches()
    for order in epochs_of(source, 2):
        np.testing.assert_array_equal(order, np.arange(50))
    np.testing.assert_array_equal(source[1][0], IMAGES[16:32])


def test_labels_are_one_hot():
    source = Batches(IMAGES[:2], np.array([5, 0], np.uint8), 10, batch_size=2)
    _images, one_hot = source[0]
    assert one_hot.dtype == np.float32
    assert one_hot.tolist() == [[0, 0, 0, 0, 0, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(16, [16, 16, 16, 2]), (25, [25, 25]), (50, [50]), (64, [50])]
)
def test_the_last_batch_holds_what_is_left(batch_size, sizes):
    source = Batches(IMAGES, LABELS, len(CLASSES), batch_size)
    assert [len(source[number][0]) for number in range(len(source))] == sizes


def test_mapped_arrays_give_plain_batches(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    np.save(tmp_path / "labels.npy", LABELS)
    mapped = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("images", "labels")]
    from_file, from_memory = Batches(*mapped, len(CLASSES), 16, seed=4), batches(seed=4)
    for source in (from_file, from_memory):
        source.on_epoch_begin()
    for one, other in zip(from_file[0], from_memory[0], strict=True):
        assert type(one) is np.ndarray
        np.testing.assert_array_equal(one, other)
    assert from_file[0][0].dtype == np.uint8  # a quarter of float32 on the way to the network
