"""preprocess: IDX files parsed, checked and split."""

from pathlib import Path

import numpy as np
import pytest
from conftest import CLASSES, SHAPE, idx, tiny_dataset, tiny_files, tiny_images
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stages.preprocess import main
from stages.preprocess.idx import read_idx
from stages.preprocess.main import read_pair
from stages.preprocess.split import split_indices
from stages.run.params import Dataset, Preprocess
from stages.shared.errors import UserError

IMAGES, LABELS = tiny_images(60, seed=1)
TEST_IMAGES, TEST_LABELS = tiny_images(30, seed=2)
DATASET = Dataset(**tiny_dataset(tiny_files(), sources=[]))
SPLITS = ["tail", "stratified", "random"]

Split = tuple[np.ndarray, np.ndarray]


def split_of(labels: np.ndarray, split: str, fraction: float = 0.2, seed: int = 0) -> Split:
    return split_indices(labels, validation_fraction=fraction, split=split, split_seed=seed)


def same(one: Split, other: Split) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def write_raw(raw: Path, **contents: bytes) -> Path:
    """data/raw of the tiny data set, some files of other content."""
    raw.mkdir()
    for role, content in (tiny_files() | contents).items():
        (raw / f"{role}.idx").write_bytes(content)
    return raw


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for the many examples of a test."""
    return tmp_path_factory.mktemp("scratch") / "file.idx"


# IDX


@pytest.mark.parametrize("array", [IMAGES, LABELS], ids=["images", "labels"])
def test_an_idx_file_is_read_as_it_was_written(tmp_path, array):
    (tmp_path / "file.idx").write_bytes(idx(array))
    found = read_idx(tmp_path / "file.idx", dimensions=array.ndim)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, array, strict=True)


def test_an_idx_file_cannot_be_changed_by_its_reader(tmp_path):
    (tmp_path / "file.idx").write_bytes(idx(LABELS))
    with pytest.raises(ValueError, match="read-only"):
        read_idx(tmp_path / "file.idx", dimensions=1)[0] = 1


def test_dimensions_are_big_endian(tmp_path):
    content = bytes.fromhex("00000803 00000001 00000002 00000100") + bytes(512)
    (tmp_path / "file.idx").write_bytes(content)
    assert read_idx(tmp_path / "file.idx", dimensions=3).shape == (1, 2, 256)


WHOLE = idx(IMAGES[:2])
HEADER = WHOLE[:16]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x01" + WHOLE[1:], r"16 bytes that starts with 00000803; found 01000803"),
        (WHOLE[:2] + b"\x0d" + WHOLE[3:], r"starts with 00000803; found 00000d03"),
        (idx(LABELS), r"starts with 00000803; found 00000801"),
        (idx(IMAGES[:2].reshape(2, 3, 4, 10)), r"starts with 00000803; found 00000804"),
        (b"\x1f\x8b\x08\x00" + WHOLE, r"starts with 00000803; found 1f8b0800"),
        (b"<html><body>Please log in", r"starts with 00000803; found 3c68746d"),
        (b"", r"starts with 00000803; found nothing"),
        (WHOLE[:3], r"starts with 00000803; found 000008\."),
        (HEADER[:-1], r"a header of 16 bytes that starts with 00000803; found \w{30}\."),
        (HEADER, r"256 bytes for the shape \(2, 12, 10\), none of it 0; found 16\."),
        (WHOLE[:-1], r"256 bytes for the shape \(2, 12, 10\), none of it 0; found 255\."),
        (WHOLE + b"\0", r"256 bytes for the shape \(2, 12, 10\), none of it 0; found 257\."),
        (idx(IMAGES[:0]), r"16 bytes for the shape \(0, 12, 10\), none of it 0; found 16\."),
        (idx(IMAGES[:, :0]), r"16 bytes for the shape \(60, 0, 10\), none of it 0; found 16\."),
        (HEADER[:4] + b"\xff" * 12, r"4294967295, 4294967295, 4294967295\).*; found 16\."),
        (HEADER[:4] + bytes.fromhex("80000000 80000000 00000004"), r"551,632 bytes.*; found 16\."),
    ],
    ids=["magic", "type", "too few dimensions", "too many dimensions", "gzip", "html", "empty",
         "cut magic", "cut header", "header only", "too short", "trailing", "zero images",
         "zero rows", "huge", "a multiple of 2**64"],
)  # fmt: skip
def test_an_unusual_idx_file_is_refused(tmp_path, content, reason):
    (tmp_path / "file.idx").write_bytes(content)
    with pytest.raises(UserError, match=reason) as caught:
        read_idx(tmp_path / "file.idx", dimensions=3)
    assert str(caught.value).startswith(f"{tmp_path / 'file.idx'}: expected ")
    assert str(caught.value).endswith("`dvc repro -f fetch` renews it")


@pytest.mark.parametrize("name", ["file.idx", "."], ids=["nothing", "a folder"])
def test_a_missing_idx_file_says_how_to_get_it(tmp_path, name):
    with pytest.raises(UserError, match="is missing: `dvc repro fetch` brings it"):
        read_idx(tmp_path / name, dimensions=3)


@settings(deadline=None)  # a busy machine is no defect
@given(
    content=st.binary(max_size=64)
    | st.binary(max_size=32).map(lambda rest: bytes([0, 0, 8, 1, 0, 0, 0]) + rest),
    dimensions=st.sampled_from([1, 3]),
)
@example(content=idx(LABELS), dimensions=1)
@example(content=bytes([0, 0, 8, 1, 0, 0, 0, 1, 7]), dimensions=1)
def test_any_bytes_are_an_array_of_all_of_them_or_an_error(scratch, content, dimensions):
    scratch.write_bytes(content)
    try:
        found = read_idx(scratch, dimensions)
    except UserError:
        return
    assert idx(found) == content


# Pairs of images and labels


def test_a_pair_belongs_together(tmp_path):
    images, labels = read_pair(write_raw(tmp_path / "raw"), "train", CLASSES)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


@pytest.mark.parametrize("count", [59, 61])
def test_another_number_of_labels_than_images_is_refused(tmp_path, count):
    labels = np.arange(count, dtype=np.uint8) % len(CLASSES)
    raw = write_raw(tmp_path / "raw", train_labels=idx(labels))
    with pytest.raises(UserError, match=rf"train_labels.idx: expected 60 labels.*found {count}$"):
        read_pair(raw, "train", CLASSES)


@pytest.mark.parametrize("label", [3, 255])
def test_a_label_that_is_no_class_is_refused(tmp_path, label):
    labels = LABELS.copy()
    labels[7] = label
    raw = write_raw(tmp_path / "raw", train_labels=idx(labels))
    with pytest.raises(
        UserError, match=rf"train_labels.idx: expected labels from 0 to 2.*{label}$"
    ):
        read_pair(raw, "train", CLASSES)


@pytest.mark.parametrize(
    ("replace", "absent"), [({1: 0}, "['middle']"), ({1: 0, 2: 0}, "['middle', 'right']")]
)
def test_a_class_without_images_is_refused(tmp_path, replace, absent):
    labels = np.array([replace.get(label, label) for label in LABELS], np.uint8)
    raw = write_raw(tmp_path / "raw", train_labels=idx(labels))
    with pytest.raises(UserError, match="images of every class") as caught:
        read_pair(raw, "train", CLASSES)
    assert str(caught.value).endswith(f"found none of {absent}")


# Splits


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(
    ("fraction", "held_out"), [(0.2, 12), (0.5, 30), (0.05, 3), (0.949, 57), (0.21, 13)]
)
def test_a_split_has_every_image_once_in_rising_order(split, fraction, held_out):
    train, validation = split_of(LABELS, split, fraction)
    assert (len(train), len(validation)) == (60 - held_out, held_out)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(60))
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()


def test_tail_takes_the_last_ones_whatever_the_seed():
    for seed in (0, 1):
        train, validation = split_of(LABELS, "tail", seed=seed)
        assert train.tolist() == list(range(48))
        assert validation.tolist() == list(range(48, 60))


@pytest.mark.parametrize("split", ["stratified", "random"])
def test_the_seed_decides_what_is_held_out(split):
    first, again, other = (split_of(LABELS, split, seed=seed) for seed in (0, 0, 1))
    assert same(first, again)
    assert not same(first, other)
    assert not same(first, split_of(LABELS, "tail"))


@pytest.mark.parametrize("split", ["stratified", "random"])
def test_the_split_does_not_depend_on_global_random_states(split):
    before = split_of(LABELS, split)
    np.random.seed(99)  # noqa: NPY002  # the state that it must not read
    assert same(before, split_of(LABELS, split))


def test_stratified_keeps_the_share_of_every_class():
    labels = np.repeat(np.array([0, 1, 2], np.uint8), [100, 50, 10])
    for seed in range(5):
        train, validation = split_of(labels, "stratified", seed=seed)
        assert np.bincount(labels[train]).tolist() == [80, 40, 8]
        assert np.bincount(labels[validation]).tolist() == [20, 10, 2]


def test_random_does_not_keep_shares():
    labels = np.repeat(np.array([0, 1, 2], np.uint8), [100, 50, 10])
    counts = {
        tuple(np.bincount(labels[split_of(labels, "random", seed=seed)[1]], minlength=3))
        for seed in range(5)
    }
    assert len(counts) > 1


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(
    ("fraction", "parts"),
    [(0.008, "leaves 60 to train and 0 to validate"), (0.999, "leaves 0 to train and 60 to")],
)
def test_a_fraction_that_leaves_a_part_empty_is_refused(split, fraction, parts):
    with pytest.raises(UserError, match=rf"preprocess.validation_fraction: {fraction}.*{parts}"):
        split_of(LABELS, split, fraction)


@pytest.mark.parametrize(
    ("labels", "fraction"),
    [([0, 0, 0, 0, 0, 1], 0.5), ([0, 1, 2] * 20, 0.03), ([0, 1, 2] * 20, 0.97)],
    ids=["a class of one", "fewer held out than classes", "fewer trained than classes"],
)
def test_a_class_too_small_for_stratified_is_refused(labels, fraction):
    with pytest.raises(UserError, match=r"preprocess\.split: stratified cannot share out"):
        split_of(np.array(labels, np.uint8), "stratified", fraction)


# The stage


@pytest.mark.parametrize("split", SPLITS)
def test_the_stage_writes_six_arrays_of_bytes(tmp_path, split):
    section = Preprocess(validation_fraction=0.2, split=split, split_seed=4)
    main.main(write_raw(tmp_path / "raw"), tmp_path / "processed", DATASET, section)
    train, validation = split_of(LABELS, split, seed=4)
    expected = {
        "x_train": IMAGES[train],
        "y_train": LABELS[train],
        "x_validation": IMAGES[validation],
        "y_validation": LABELS[validation],
        "x_test": TEST_IMAGES,
        "y_test": TEST_LABELS,
    }
    found = {path.stem: np.load(path) for path in (tmp_path / "processed").glob("*")}
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == np.uint8
        np.testing.assert_array_equal(found[name], array, strict=True)
    assert found["x_train"].shape == (48, *SHAPE)


def test_the_stage_prints_the_shapes(tmp_path, capsys):
    section = Preprocess(validation_fraction=0.2, split="tail", split_seed=0)
    main.main(write_raw(tmp_path / "raw"), tmp_path / "processed", DATASET, section)
    assert capsys.readouterr().out.splitlines() == [
        "train: images (48, 12, 10), labels (48,), uint8",
        "validation: images (12, 12, 10), labels (12,), uint8",
        "test: images (30, 12, 10), labels (30,), uint8",
    ]


@pytest.mark.parametrize("role", tiny_files())
def test_the_stage_writes_nothing_if_a_file_is_damaged(tmp_path, role):
    raw = write_raw(tmp_path / "raw", **{role: tiny_files()[role][:-1]})
    section = Preprocess(validation_fraction=0.2, split="tail", split_seed=0)
    with pytest.raises(UserError, match=rf"{role}\.idx"):
        main.main(raw, tmp_path / "processed", DATASET, section)
    assert not (tmp_path / "processed").exists()
