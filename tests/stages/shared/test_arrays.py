"""Arrays as .npy files: they come back as they were, and a damaged one is refused."""

import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from conftest import refusal
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.shared.arrays import read_array, read_labels, read_part, write_array
from stages.shared.errors import UserError

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def npy(header: str, content: bytes = b"abcd") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + content


def header(shape: str, kind: str = "|u1") -> str:
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "array.npy"
    write_array(path, ARRAY)
    return path.read_bytes()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for the many examples of a test."""
    return tmp_path_factory.mktemp("scratch") / "file"


# Arrays come back


@pytest.mark.parametrize(
    "array", [ARRAY, ARRAY.astype(np.float32), np.zeros((0, 3)), np.float64(1.5)],
    ids=["bytes", "floats", "empty", "scalar"],
)  # fmt: skip
def test_an_array_comes_back_as_it_was(tmp_path, array):
    write_array(tmp_path / "array.npy", array)
    back = read_array(tmp_path / "array.npy")
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array, strict=True)


def test_an_array_gives_the_same_bytes_each_time_and_plain_numpy_reads_it(tmp_path):
    for name in ("one", "two"):
        write_array(tmp_path / name, ARRAY)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    np.testing.assert_array_equal(np.load(tmp_path / "one"), ARRAY)


def test_an_array_that_was_read_cannot_be_changed(tmp_path, saved):
    (tmp_path / "array.npy").write_bytes(saved)
    with pytest.raises(ValueError, match="read-only"):
        read_array(tmp_path / "array.npy")[0] = 1
    assert (tmp_path / "array.npy").read_bytes() == saved


def test_objects_are_neither_written_nor_read(tmp_path):
    """They would be pickled, and opening a pickle can run any code."""
    objects = np.array([{"a": 1}, "text"], dtype=object)
    with pytest.raises(ValueError, match="Object arrays"):
        write_array(tmp_path / "array.npy", objects)
    assert list(tmp_path.iterdir()) == []
    np.save(tmp_path / "array.npy", objects, allow_pickle=True)
    assert "objects" in refusal(read_array, tmp_path / "array.npy")


# Damaged files


def test_a_missing_array_is_named_with_what_brings_it(tmp_path):
    assert "file is missing: " in refusal(read_array, tmp_path / "file")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"garbage\nmore\n", b"\x00\n" * 99])
def test_garbage_is_no_array(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    assert "expected a complete .npy array" in refusal(read_array, tmp_path / "file")


def test_a_bare_pickle_is_refused(tmp_path):
    (tmp_path / "array.npy").write_bytes(ARRAY.dumps())
    refusal(read_array, tmp_path / "array.npy")


def test_several_arrays_in_one_file_are_refused(tmp_path):
    with (tmp_path / "array.npy").open("wb") as file:
        np.savez(file, one=ARRAY, two=ARRAY)
    refusal(read_array, tmp_path / "array.npy")


def test_an_array_cut_anywhere_is_refused(scratch, saved):
    for size in range(len(saved)):
        scratch.write_bytes(saved[:size])
        refusal(read_array, scratch)


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04 and no more",
        npy(header("(5,)")),
        npy(header("(-4,)")),
        npy(header("(4,)", "|O")),
        npy(header("(4,)", "|x9")),
        npy(header("(4,)")[:-5]),
        npy("{'descr': '|u1'}\n"),
        npy("{[]: 1}\n"),
        npy("  x\n y"),
        npy("[]"),
    ],
)
def test_a_damaged_header_is_refused(tmp_path, content):
    (tmp_path / "array.npy").write_bytes(content)
    refusal(read_array, tmp_path / "array.npy")


@settings(deadline=None)  # a busy machine is no defect
@given(place=st.integers(8, 127), byte=st.integers(0, 255))
def test_a_wrong_byte_in_the_header_never_ends_in_a_traceback(scratch, saved, place, byte):
    damaged = bytearray(saved)
    damaged[place] = byte
    scratch.write_bytes(damaged)
    with suppress(UserError):
        read_array(scratch)


@pytest.mark.parametrize("shape", [(10**8,), (10**12,), (10**6, 10**6, 10**6), (10**30,)])
def test_a_huge_shape_is_refused_before_it_takes_memory(tmp_path, shape):
    (tmp_path / "array.npy").write_bytes(npy(header(str(shape))))
    tracemalloc.start()
    try:
        refusal(read_array, tmp_path / "array.npy")
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 10**7


# A part: images and labels


def part(folder: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    np.save(folder / "x_test.npy", images)
    np.save(folder / "y_test.npy", labels)
    return folder


def refused_part(folder: Path, images: np.ndarray, labels: np.ndarray) -> str:
    """The message about arrays that are no part of three classes; it says what to do."""
    with pytest.raises(UserError) as caught:
        read_part(part(folder, images, labels), "test", 3)
    message = str(caught.value)
    assert message.startswith(str(folder))
    assert message.endswith("`dvc repro preprocess` makes it again")
    return message.removeprefix(f"{folder}/").partition(". `dvc")[0]


PART = np.zeros((4, 12, 10), np.uint8)
FOUR = np.array([0, 1, 2, 0], np.uint8)


@pytest.mark.parametrize("kind", ["u1", "i2", "<i8", ">u4"])
def test_a_part_has_images_and_labels_of_any_kind_of_integers(tmp_path, kind):
    images, labels = read_part(part(tmp_path, PART, FOUR.astype(kind)), "test", 3)
    np.testing.assert_array_equal(images, PART, strict=True)
    np.testing.assert_array_equal(labels, FOUR.astype(kind), strict=True)


def test_images_in_colour_and_labels_above_255_are_a_part(tmp_path):
    images = np.zeros((4, 12, 10, 3), np.uint8)
    high = np.array([0, 999, 256, 7], np.uint16)
    found_images, found_labels = read_part(part(tmp_path, images, high), "test")
    np.testing.assert_array_equal(found_images, images, strict=True)
    np.testing.assert_array_equal(found_labels, high, strict=True)


X = (
    "x_test.npy: expected images (count, height, width) or (count, height, width, 3) as uint8, "
    "none of it 0; found "
)
Y = "y_test.npy: expected labels (count,) as integers, at least one; found "
RANGE = "y_test.npy: expected labels from 0 to 2; found "


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (PART[:0], FOUR, f"{X}(0, 12, 10) as uint8"),
        (PART[:, :0], FOUR, f"{X}(4, 0, 10) as uint8"),
        (PART[0], FOUR, f"{X}(12, 10) as uint8"),
        (PART[..., None], FOUR, f"{X}(4, 12, 10, 1) as uint8"),
        (PART / 255, FOUR, f"{X}(4, 12, 10) as float64"),
        (PART, FOUR[:3], "y_test.npy: expected 4 labels, one an image of x_test.npy; found 3"),
        (PART, FOUR[:0], f"{Y}(0,) as uint8"),
        (PART, FOUR.astype(float), f"{Y}(4,) as float64"),
        (PART, FOUR > 0, f"{Y}(4,) as bool"),
        (PART, np.eye(4, dtype=np.uint8), f"{Y}(4, 4) as uint8"),
        (PART, FOUR + 1, f"{RANGE}1 to 3"),
        (PART, FOUR.astype(int) - 1, f"{RANGE}-1 to 1"),
        (PART, np.full(4, 2**63, np.uint64), f"{RANGE}{2**63} to {2**63}"),
    ],
    ids=["no image", "no row", "one image", "a channel", "floats", "a label too few", "no label",
         "float labels", "booleans", "one-hot", "too high", "negative", "huge"],
)  # fmt: skip
def test_what_is_no_part_is_refused(tmp_path, images, labels, message):
    assert refused_part(tmp_path, images, labels) == message


def test_labels_alone_are_checked_as_well(tmp_path):
    write_array(tmp_path / "y.npy", FOUR)
    assert read_labels(tmp_path / "y.npy", 3).tolist() == [0, 1, 2, 0]
    with pytest.raises(UserError, match="expected labels from 0 to 1; found 0 to 2"):
        read_labels(tmp_path / "y.npy", 2)
