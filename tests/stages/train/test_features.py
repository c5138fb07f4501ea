"""Features of images: the same bits however they come about."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, augmentation, tiny_images

from stages.train import features as features_module
from stages.train.backbone import build_backbone, load_weights
from stages.train.feature_store import FeatureStore
from stages.train.features import FeatureReader, Views

GREY, _ = tiny_images(20, seed=5)
COLOUR = np.random.default_rng(6).integers(0, 256, (9, 12, 10, 3), np.uint8)
VIEWS = Views(3, augmentation(rotation=20, translation=2, flip=True), 7, seed=4)


@pytest.fixture(scope="module")
def backbone():
    made = build_backbone("efficientnet_lite0", GREY.shape[1:], 40)
    load_weights(made, "efficientnet_lite0")
    return made


@pytest.fixture
def reader(backbone, tmp_path) -> FeatureReader:
    return FeatureReader(backbone, FeatureStore(tmp_path / "features.sqlite"))


@pytest.fixture(scope="module")
def expected(backbone, tmp_path_factory) -> np.ndarray:
    store = FeatureStore(tmp_path_factory.mktemp("first") / "features.sqlite")
    return FeatureReader(backbone, store).read(GREY, VIEWS)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_they_are_what_keras_gives(backbone, expected):
    assert expected.shape == (20 * 3, 1280)
    np.testing.assert_allclose(expected[::3], backbone.predict_on_batch(GREY), atol=1e-4, rtol=1e-4)
    assert np.ptp(expected, axis=0).max() > 0.5


@pytest.mark.parametrize(("batch", "cores"), [(1, 2), (7, 1), (7, 5), (64, 2)])
def test_batches_and_cores_change_no_bit(reader, expected, batch, cores, monkeypatch):
    monkeypatch.setattr(features_module, "available_cores", lambda: cores)
    reader.batch = batch
    np.testing.assert_array_equal(reader.read(GREY, VIEWS), expected)


def test_blocks_change_no_bit(reader, expected, monkeypatch):
    monkeypatch.setattr(features_module, "BLOCK_IMAGES", 11)
    np.testing.assert_array_equal(reader.read(GREY, VIEWS), expected)


def test_the_order_of_images_and_those_beside_them_change_no_bit(reader, expected):
    for image in (13, 2, 19):
        found = reader.read(GREY[image : image + 1], VIEWS)
        np.testing.assert_array_equal(found, expected[3 * image : 3 * image + 3])


def test_what_is_known_is_not_computed_again(reader, expected, capsys, monkeypatch):
    reader.read(GREY[:8], VIEWS)
    assert "Features of 8 images, 3 views of each: 24 computed" in said(capsys)
    np.testing.assert_array_equal(reader.read(GREY, VIEWS), expected)
    assert "36 computed" in said(capsys)
    monkeypatch.setattr(reader, "compute", lambda _images: pytest.fail("computed again"))
    np.testing.assert_array_equal(reader.read(GREY, VIEWS), expected)
    np.testing.assert_array_equal(reader.read(GREY), expected[::3])
    assert "20 known" in said(capsys)


@pytest.mark.parametrize(
    "other",
    [
        VIEWS._replace(seed=5),
        VIEWS._replace(background=8),
        VIEWS._replace(augmentation=augmentation(rotation=21, translation=2, flip=True)),
    ],
)
def test_other_views_are_other_features(reader, expected, other):
    found = reader.read(GREY, VIEWS), reader.read(GREY, other)
    np.testing.assert_array_equal(found[0], expected)
    np.testing.assert_array_equal(found[1][::3], expected[::3])
    assert all(not np.array_equal(found[1][view::3], expected[view::3]) for view in (1, 2))


def test_images_of_another_shape_do_not_share_rows(reader, backbone, tmp_path):
    """A grey image and one in colour may have the same bytes."""
    other = build_backbone("efficientnet_lite0", (2, 20, 3), 40)
    load_weights(other, "efficientnet_lite0")
    images = GREY[:1].reshape(1, 2, 20, 3)
    reader.read(GREY[:1])
    found = FeatureReader(other, reader.store).read(images)
    clean = FeatureReader(other, FeatureStore(tmp_path / "clean.sqlite")).read(images)
    np.testing.assert_array_equal(found, clean)


def test_an_array_mapped_from_a_file_gives_the_same(reader, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(features_module, "BLOCK_IMAGES", 9)
    np.save(tmp_path / "images.npy", GREY)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    np.testing.assert_array_equal(reader.read(mapped, VIEWS), expected)


def flip_rows(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        (content,) = connection.execute("SELECT content FROM features LIMIT 1").fetchone()
        other = bytes([content[0] ^ 1]) + content[1:]
        connection.execute("UPDATE features SET content = ? WHERE rowid % 2", (other,))


def swap_rows(path: Path) -> None:
    """Two whole rows under each other's key."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT rowid, checksum, content FROM features").fetchmany(2)
        for (row, *_), (_, checksum, content) in zip(rows, rows[::-1], strict=True):
            update = "UPDATE features SET checksum = ?, content = ? WHERE rowid = ?"
            connection.execute(update, (checksum, content, row))


DAMAGE = {
    "no file": lambda path: path.unlink(),
    "another file": lambda path: path.write_bytes(b"no database" * 1000),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:100_000]),
    "zeros within": lambda path: path.write_bytes(
        path.read_bytes()[:50_000] + bytes(40_000) + path.read_bytes()[90_000:]
    ),
    "flipped bits": flip_rows,
    "rows swapped": swap_rows,
    "an empty file": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_store_changes_no_bit_and_is_mended(reader, expected, damage, capsys):
    reader.read(GREY, VIEWS)
    DAMAGE[damage](reader.store.path)
    said(capsys)
    np.testing.assert_array_equal(reader.read(GREY, VIEWS), expected)
    assert "kept in" in said(capsys)
    np.testing.assert_array_equal(reader.read(GREY, VIEWS), expected)
    assert " 0 computed" in said(capsys)


@pytest.mark.parametrize("place", ["/dev/full/features.sqlite", "/proc/features.sqlite"])
def test_a_store_that_cannot_be_used_is_said_once_a_reading(backbone, expected, place, capsys):
    reader = FeatureReader(backbone, FeatureStore(Path(place)))
    np.testing.assert_array_equal(reader.read(GREY, VIEWS), expected)
    assert said(capsys).count("not kept: ") == 1


def test_the_store_is_bounded_and_the_oldest_rows_go_first(tmp_path):
    store = FeatureStore(tmp_path / "features.sqlite", most_bytes=12_000_000)
    keys = [number.to_bytes(32) for number in range(4000)]
    for start in range(0, 4000, 500):
        rows = {key: np.full(1280, 1, np.float32) for key in keys[start : start + 500]}
        store.write(rows)
    known = [key in store.read([key]) for key in keys]
    assert known[-1]
    assert not known[0]
    assert known == sorted(known)
    assert 1000 < sum(known) < 2400
    assert store.path.stat().st_size < 20_000_000


PROGRAM = """
import sys
import numpy as np
sys.path[:0] = ["tests", "."]
from pathlib import Path
import test_features as t
from stages.train.backbone import build_backbone, load_weights
backbone = build_backbone("efficientnet_lite0", t.GREY.shape[1:], 40)
load_weights(backbone, "efficientnet_lite0")
reader = t.FeatureReader(backbone, t.FeatureStore(Path(sys.argv[1])))
np.save(sys.argv[2], reader.read(t.GREY, t.VIEWS))
"""


@pytest.mark.slow
def test_two_trainings_at_once_share_the_store(tmp_path, expected):
    code = PROGRAM.replace('"tests"', '"tests", "tests/stages/train"')
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, tmp_path / "features.sqlite", tmp_path / f"{number}.npy"],
            cwd=ROOT,
        )
        for number in range(2)
    ]
    assert [process.wait() for process in started] == [0, 0]
    for number in range(2):
        np.testing.assert_array_equal(np.load(tmp_path / f"{number}.npy"), expected)


def test_colour_has_its_own_backbone(tmp_path):
    made = build_backbone("efficientnet_lite0", COLOUR.shape[1:], 40)
    load_weights(made, "efficientnet_lite0")
    reader = FeatureReader(made, FeatureStore(tmp_path / "features.sqlite"))
    white = Views(2, augmentation(rotation=45), [255, 0, 128], seed=0)
    found = reader.read(COLOUR, white)
    np.testing.assert_array_equal(found[::2], reader.read(COLOUR))
    assert not np.array_equal(found[1::2], found[::2])
