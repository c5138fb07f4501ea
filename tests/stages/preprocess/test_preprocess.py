"""preprocess: pairs of IDX files checked against each other, and the six arrays it writes."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import CLASSES, SHAPE, idx, make_section, tiny_dataset, tiny_files, tiny_images

from stages.preprocess.idx import read_pair
from stages.preprocess.main import main as run
from stages.preprocess.split import hold_out
from stages.run.params import Dataset, Preprocess
from stages.shared.errors import UserError
from stages.shared.image_reading import fit_pixels

IMAGES, LABELS = tiny_images(60, seed=1)
TEST_IMAGES, TEST_LABELS = tiny_images(30, seed=2)
DATASET = make_section(Dataset, **tiny_dataset(tiny_files(), sources=[]))


def write_raw(raw: Path, **contents: bytes) -> Path:
    """data/raw of the tiny data set, some files with other content."""
    raw.mkdir()
    for role, content in (tiny_files() | contents).items():
        (raw / f"{role}.idx").write_bytes(content)
    return raw


def main(raw: Path, processed: Path, dataset: Any, preprocess: Any) -> None:
    data, reports, scratch = (raw.parent / name for name in ("data", "reports", "scratch"))
    (data / "tiny").mkdir(parents=True, exist_ok=True)
    (data / "tiny/corrections.csv").write_text("image,old,new,reason\n", encoding="utf-8")
    named = SimpleNamespace(**vars(dataset), folder="tiny")
    run(data, raw, processed, reports, named, preprocess, scratch)


# Pairs of images and labels


def test_a_pair_belongs_together(tmp_path):
    images, labels = read_pair(write_raw(tmp_path / "raw"), "train", CLASSES, 0)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


@pytest.mark.parametrize("count", [59, 61])
def test_another_number_of_labels_than_images_is_refused(tmp_path, count):
    labels = np.arange(count, dtype=np.uint8) % len(CLASSES)
    raw = write_raw(tmp_path / "raw", train_labels=idx(labels))
    with pytest.raises(UserError, match=rf"train_labels.idx: expected 60 labels.*found {count}$"):
        read_pair(raw, "train", CLASSES, 0)


@pytest.mark.parametrize("label", [3, 255])
def test_a_label_that_is_no_class_is_refused(tmp_path, label):
    labels = LABELS.copy()
    labels[7] = label
    raw = write_raw(tmp_path / "raw", train_labels=idx(labels))
    with pytest.raises(
        UserError, match=rf"train_labels.idx: expected labels from 0 to 2.*found 0 to {label}:"
    ):
        read_pair(raw, "train", CLASSES, 0)


@pytest.mark.parametrize(
    ("replace", "absent"),
    [({1: 0}, "1 of 3 classes: middle (10 in"), ({1: 0, 2: 0}, "classes: middle (10 in all), ri")],
)
def test_a_class_without_images_is_refused(tmp_path, replace, absent):
    labels = np.array([replace.get(label, label) for label in LABELS], np.uint8)
    raw = write_raw(tmp_path / "raw", train_labels=idx(labels))
    section = make_section(Preprocess, validation_fraction=0.2, split="tail", split_seed=0)
    with pytest.raises(UserError, match="no train image of") as caught:
        main(raw, tmp_path / "processed", DATASET, section)
    assert absent in str(caught.value)
    assert not (tmp_path / "processed").exists()


# The stage


@pytest.mark.parametrize("split", ["tail", "stratified", "random"])
def test_the_stage_writes_the_images_and_labels_of_each_split(tmp_path, split):
    section = make_section(Preprocess, validation_fraction=0.2, split=split, split_seed=4)
    main(write_raw(tmp_path / "raw"), tmp_path / "processed", DATASET, section)
    train, validation = hold_out(LABELS, np.arange(60), CLASSES, 0.2, split, 4, "key")
    expected = {
        "x_train": IMAGES[train],
        "y_train": LABELS[train],
        "x_validation": IMAGES[validation],
        "y_validation": LABELS[validation],
        "x_test": TEST_IMAGES,
        "y_test": TEST_LABELS,
    }
    found = {path.stem: np.load(path) for path in (tmp_path / "processed").glob("*")}
    np.testing.assert_array_equal(
        found.pop("y_test_trusted"), TEST_LABELS.astype(np.int32), strict=True
    )
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == np.uint8
        np.testing.assert_array_equal(found[name], array, strict=True)
    assert found["x_train"].shape == (48, *SHAPE)


def test_the_stage_prints_the_shapes(tmp_path, capsys):
    section = make_section(Preprocess, validation_fraction=0.2, split="tail", split_seed=0)
    main(write_raw(tmp_path / "raw"), tmp_path / "processed", DATASET, section)
    assert capsys.readouterr().out.splitlines() == [
        "train: images (48, 12, 10), labels (48,), uint8",
        "validation: images (12, 12, 10), labels (12,), uint8",
        "test: images (30, 12, 10), labels (30,), uint8",
    ]


@pytest.mark.parametrize("role", tiny_files())
def test_the_stage_writes_nothing_if_a_file_is_damaged(tmp_path, role):
    raw = write_raw(tmp_path / "raw", **{role: tiny_files()[role][:-1]})
    section = make_section(Preprocess, validation_fraction=0.2, split="tail", split_seed=0)
    with pytest.raises(UserError, match=rf"{role}\.idx"):
        main(raw, tmp_path / "processed", DATASET, section)
    assert not (tmp_path / "processed").exists()


@pytest.mark.parametrize("shape", [(12, 11), (10, 12), (24, 20)])
def test_test_images_of_another_size_are_brought_to_the_stated_one(tmp_path, shape, capsys):
    images = np.random.default_rng(0).integers(0, 256, (30, *shape), np.uint8)
    raw = write_raw(tmp_path / "raw", test_images=idx(images))
    section = make_section(Preprocess, validation_fraction=0.2, split="tail", split_seed=0)
    main(raw, tmp_path / "processed", DATASET, section)
    assert f"images of {shape[0]} x {shape[1]} become 12 x 10: pad" in capsys.readouterr().out
    found = np.load(tmp_path / "processed/x_test.npy")
    expected = [fit_pixels(image, DATASET.images) for image in images]
    np.testing.assert_array_equal(found, np.stack(expected))


@pytest.mark.parametrize("order", [1, -1], ids=["rising", "falling"])
def test_sorted_labels_with_a_split_of_the_tail_are_refused(tmp_path, order):
    """Else no image of the last classes is trained on, and every later score looks right."""
    places = np.argsort(LABELS, kind="stable")[::order]
    sorted_files = {"train_images": idx(IMAGES[places]), "train_labels": idx(LABELS[places])}
    raw = write_raw(tmp_path / "raw", **sorted_files)
    tail = make_section(Preprocess, validation_fraction=0.34, split="tail", split_seed=0)
    with pytest.raises(UserError, match=r"no train image of.*preprocess\.split .*stratified"):
        main(raw, tmp_path / "processed", DATASET, tail)
    assert not (tmp_path / "processed").exists()
    stratified = make_section(
        Preprocess, validation_fraction=0.34, split="stratified", split_seed=0
    )
    main(raw, tmp_path / "processed", DATASET, stratified)
