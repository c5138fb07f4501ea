"""The same images give the same arrays in whatever format they come."""

import csv
import gzip
import hashlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CLASSES, ROOT, idx, tiny_files, tiny_images
from pictures import encode, load, own_dataset, process, tiny_pictures, write_files, zipped

from stages.fetch.main import FOLDER_VARIABLE
from stages.shared.errors import UserError

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: the extra `parquet`")
parquet = pytest.importorskip("pyarrow.parquet")

TRAIN, TEST = tiny_images(60, seed=1), tiny_images(30, seed=2)
SPLITS = {"train": TRAIN, "test": TEST}
FOLDER = {"all": {"name": "images", "count": 90}}


@pytest.fixture(autouse=True)
def a_home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def process_files(place: Path, dataset: Any, files: dict[str, bytes]) -> dict[str, bytes]:
    write_files(place / "data/tiny", files)
    return process(place / "data", dataset, place)


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def table(images: np.ndarray, labels: Any, **columns: Any) -> bytes:
    """As in a competition: label, pixel0, pixel1, ..."""
    file = io.StringIO()
    writer = csv.writer(file)
    pixels = [f"pixel{number}" for number in range(images[0].size)]
    writer.writerow(["label", *columns, *pixels])
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        writer.writerow([label, *(each[row] for each in columns.values()), *image.ravel()])
    return file.getvalue().encode()


def packed_parquet(images: np.ndarray, labels: Any, **options: Any) -> bytes:
    """As the hub has it: a struct with the bytes of a file and its name."""
    contents = [encode(image) for image in images]
    if options.get("plain"):
        column = pa.array(contents, pa.binary())
    else:
        column = pa.array([{"bytes": content, "path": "a.png"} for content in contents])
    columns = {"image": column, "label": pa.array(labels)} | options.get("columns", {})
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file, row_group_size=7)
    return file.getvalue()


def names_of(labels: np.ndarray) -> list[str]:
    return [CLASSES[label] for label in labels]


@pytest.fixture(scope="module")
def expected() -> dict[str, bytes]:
    """What numpy would write of the arrays."""
    arrays = {
        "x_train": TRAIN[0][:48], "y_train": TRAIN[1][:48],
        "x_validation": TRAIN[0][48:], "y_validation": TRAIN[1][48:],
        "x_test": TEST[0], "y_test": TEST[1], "y_test_trusted": TEST[1].astype(np.int32),
    }  # fmt: skip
    found = {}
    for name, array in arrays.items():
        file = io.BytesIO()
        np.save(file, array)
        found[f"{name}.npy"] = file.getvalue()
    return found


def test_idx(tmp_path, expected, monkeypatch):
    folder = {f"tiny-{role}.gz": gzip.compress(each) for role, each in tiny_files().items()}
    monkeypatch.setenv(FOLDER_VARIABLE, str(write_files(tmp_path / "mine", folder)))
    assert process_files(tmp_path, own_dataset("idx", idx_files()), {}) == expected


def idx_files() -> dict[str, object]:
    return {
        role: {
            "name": f"tiny-{role}",
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        for role, content in tiny_files().items()
    }


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
    ],
)
@pytest.mark.parametrize("column", [True, False], ids=["(n, 1)", "(n,)"])
def test_npz(tmp_path, expected, names, column):
    arrays = [TRAIN[0], TRAIN[1], TEST[0][..., None], TEST[1].astype(np.int64)]
    if column:
        arrays[1], arrays[3] = arrays[1][:, None], arrays[3][:, None]
    dataset = own_dataset("npz", {"all": {"name": "tiny.npz"}})
    content = npz(**dict(zip(names, arrays, strict=True)))
    assert process_files(tmp_path, dataset, {"tiny.npz": content}) == expected


@pytest.mark.parametrize("first_label", [0, 1, "names"])
def test_csv(tmp_path, expected, first_label):
    files = {"train": {"name": "a.csv"}, "train_2": {"name": "b.csv"}, "test": {"name": "c.csv"}}
    dataset = own_dataset("csv", dict(reversed(files.items())), format={"first_label": first_label})
    stated = {
        split: names_of(labels) if first_label == "names" else labels + first_label
        for split, (_, labels) in SPLITS.items()
    }
    contents = {
        "a.csv": table(TRAIN[0][:25], stated["train"][:25]),
        "b.csv": table(TRAIN[0][25:], stated["train"][25:]),
        "c.csv": b"\xef\xbb\xbf" + table(TEST[0], stated["test"]),
    }
    assert process_files(tmp_path, dataset, contents) == expected


def test_csv_with_a_column_of_splits(tmp_path, expected):
    images = np.concatenate([TEST[0], TRAIN[0]])
    labels = np.concatenate([TEST[1], TRAIN[1]])
    splits = ["test"] * 30 + ["train"] * 48 + ["validation"] * 12
    dataset = own_dataset("csv", {"all": {"name": "a.csv"}})
    content = table(images, labels, split=splits)
    assert process_files(tmp_path, dataset, {"a.csv": content}) == expected


@pytest.mark.parametrize("plain", [True, False], ids=["bytes", "struct"])
@pytest.mark.parametrize("first_label", [0, "names"])
def test_parquet(tmp_path, expected, plain, first_label):
    names = {"train": "a", "train_2": "b", "train_10": "c", "test": "d"}
    files = {role: {"name": f"{name}.parquet"} for role, name in names.items()}
    dataset = own_dataset(
        "parquet", dict(sorted(files.items())), format={"first_label": first_label}
    )
    labels = {
        split: names_of(labels) if first_label == "names" else labels
        for split, (_, labels) in SPLITS.items()
    }
    contents = {
        "a.parquet": packed_parquet(TRAIN[0][:10], labels["train"][:10], plain=plain),
        "b.parquet": packed_parquet(TRAIN[0][10:40], labels["train"][10:40], plain=plain),
        "c.parquet": packed_parquet(TRAIN[0][40:], labels["train"][40:], plain=plain),
        "d.parquet": packed_parquet(TEST[0], labels["test"], plain=plain),
    }
    assert process_files(tmp_path, dataset, contents) == expected


def ordered_pictures() -> dict[str, bytes]:
    """Files whose order by path is that of the arrays, with their class in labels.csv."""
    rows = ["file,label,split"]
    files = {}
    for split, (images, labels) in SPLITS.items():
        for place, (image, label) in enumerate(zip(images, labels, strict=True)):
            files[f"{split} {place:03}.png"] = encode(image)
            rows.append(f"{split} {place:03}.png,{CLASSES[label]},{split}")
    return files | {"labels.csv": "\n".join(rows).encode()}


@pytest.mark.parametrize("pack", [None, zipped])
def test_labels_csv(tmp_path, expected, pack):
    files = ordered_pictures()
    dataset = own_dataset("folder", FOLDER, format={"layout": "labels.csv"})
    contents = (
        {"images": pack(files)}
        if pack
        else {f"images/{name}": content for name, content in reversed(files.items())}
    )
    assert process_files(tmp_path, dataset, contents) == expected


def test_folders_have_the_same_images_by_class(tmp_path):
    dataset = own_dataset("folder", FOLDER, format={"layout": "splits"})
    files = {f"images/{name}": content for name, content in tiny_pictures().items()}
    stratified = {"validation_fraction": 0.2, "split": "stratified", "split_seed": 0}
    write_files(tmp_path / "data/tiny", files)
    found = process(tmp_path / "data", dataset, tmp_path, **stratified)
    order = np.argsort(TEST[1], kind="stable")
    np.testing.assert_array_equal(load(found, "x_test"), TEST[0][order])
    np.testing.assert_array_equal(load(found, "y_test"), TEST[1][order])
    assert np.bincount(load(found, "y_validation")).tolist() == [4, 4, 4]
    before = os.umask(0o077)
    try:
        again = tmp_path / "again"
        write_files(again / "data/tiny", dict(reversed(files.items())))
        assert process(again / "data", dataset, again, **stratified) == found
    finally:
        os.umask(before)


ELSEWHERE = """
import sys; from pathlib import Path
from pictures import own_dataset, process
files = {"all": {"name": "images", "count": 90}}
dataset = own_dataset("folder", files, format={"layout": "splits"})
process(Path(sys.argv[1]), dataset, Path(sys.argv[2]), split="stratified")
"""


@pytest.mark.parametrize("settings", [{"LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}])
def test_the_arrays_are_the_same_in_any_locale(tmp_path, settings):
    files = {
        f"images/{name.replace('/0', '/ä 0')}": content for name, content in tiny_pictures().items()
    }
    write_files(tmp_path / "data/tiny", files)
    dataset = own_dataset("folder", FOLDER, format={"layout": "splits"})
    here = process(tmp_path / "data", dataset, tmp_path, split="stratified")
    again = tmp_path / "again"
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": paths, "HOME": str(again)} | settings
    subprocess.run(
        [sys.executable, "-c", ELSEWHERE, tmp_path / "data", again], env=environment, check=True
    )
    there = {path.name: path.read_bytes() for path in (again / "processed").iterdir()}
    assert there == here
    assert len(there) >= 6


def test_colour(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (30, 12, 10, 3), np.uint8)
    labels = np.arange(30) % 3
    dataset = own_dataset(
        "npz", {"all": {"name": "a.npz"}}, images={"colour": "rgb", "background": [0, 0, 0]},
        splits={"test_fraction": 0.2, "test_split": "tail"},
    )  # fmt: skip
    found = process_files(tmp_path, dataset, {"a.npz": npz(x=images, y=labels)})
    np.testing.assert_array_equal(load(found, "x_test"), images[24:])
    assert load(found, "x_train").shape == (19, 12, 10, 3)


def test_more_than_256_classes_have_labels_of_16_bits(tmp_path):
    labels = np.arange(900) % 300
    images = np.random.default_rng(0).integers(0, 256, (900, 12, 10), np.uint8)
    dataset = own_dataset(
        "npz", {"all": {"name": "a.npz"}}, classes=[f"class {number}" for number in range(300)]
    )
    content = npz(x_train=images[:600], y_train=labels[:600], x_test=images[600:],
                  y_test=labels[600:])  # fmt: skip
    write_files(tmp_path / "data/tiny", {"a.npz": content})
    found = process(tmp_path / "data", dataset, tmp_path, split="tail", validation_fraction=0.5)
    assert load(found, "y_test").dtype == np.uint16
    np.testing.assert_array_equal(load(found, "y_test"), labels[600:])


# What does not fit


def refusal(place: Path, dataset: Any, files: dict[str, bytes]) -> str:
    with pytest.raises(UserError) as caught:
        process_files(place, dataset, files)
    assert not (place / "processed").exists()
    return str(caught.value)


CSV = {"train": {"name": "a.csv"}, "test": {"name": "b.csv"}}
WHOLE = table(*TRAIN)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "expected a table of comma-separated values: No columns"),
        (b"label\xff\n", "expected a table of comma-separated values"),
        (WHOLE.splitlines()[0], "expected a row for each image, found none"),
        (WHOLE.replace(b"label", b"digit", 1), "expected a column named label; found digit"),
        (WHOLE.replace(b",pixel119", b"", 1), "Length of header or names does not match"),
        (WHOLE.replace(b"pixel0,", b"", 1), "Length of header or names does not match"),
        (table(TRAIN[0][:, :11], TRAIN[1]), "expected 120 columns of pixels for images of 12 x 10"),
        (WHOLE + b"0,1\n", "image 60, column pixel1: expected a whole number from 0 to 255"),
        (WHOLE + b"0" + b",256" * 120 + b"\n", "image 60, column pixel0: .*found 256"),
        (WHOLE + b"0" + b",-1" * 120 + b"\n", "image 60, column pixel0: .*found -1"),
        (WHOLE + b"0" + b",0.5" * 120 + b"\n", "column pixel0: expected a whole number"),
        (WHOLE + b"0" + b",x" * 120 + b"\n", "column pixel0: expected a whole number"),
        (WHOLE + b"3" + b",0" * 120 + b"\n", "expected labels from 0 to 2.*found 0 to 3"),
        (WHOLE + b"cat" + b",0" * 120 + b"\n", "expected labels that are numbers: .*'cat'"),
        (WHOLE + b"0" + b",0" * 121 + b"\n", "expected a table of comma-separated values: .*line"),
    ],
)
def test_a_csv_that_does_not_fit_is_refused(tmp_path, content, reason):
    files = {"a.csv": content, "b.csv": table(*TEST)}
    message = refusal(tmp_path, own_dataset("csv", CSV), files)
    assert re.search(reason, message), message
    assert "a.csv" in message or "train.csv" in message


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no zip", "expected a complete .npz file"),
        (npz(x_train=TRAIN[0], y_train=TRAIN[1])[:-200], "expected a complete .npz file"),
        (npz(a=TRAIN[0]), "expected pairs of arrays named x_train and y_train"),
        (npz(x_test=TRAIN[0], y_test=TRAIN[1]), "expected pairs of arrays named"),
        (npz(x=TRAIN[0] / 255, y=TRAIN[1]), "expected values from 0 to 255 as uint8"),
        (npz(x=TRAIN[0], y=TRAIN[1][:9]), "y: expected 60 whole numbers, one label an image"),
        (npz(x=TRAIN[0], y=np.zeros((60, 14), int)), "Images of several labels each are not"),
        (npz(x=TRAIN[0], y=TRAIN[1] + 5), "y: expected labels from 0 to 2"),
        (npz(x=TRAIN[0].reshape(60, 120), y=TRAIN[1]), r"found (60, 120): correct `files`"),
        (npz(x=np.array([None, {}]), y=TRAIN[1]), "expected a complete .npz file"),
    ],
)
def test_an_npz_that_does_not_fit_is_refused(tmp_path, content, reason):
    dataset = own_dataset("npz", {"all": {"name": "a.npz"}}, splits={"test_fraction": 0.2})
    assert reason in refusal(tmp_path, dataset, {"a.npz": content})


HUB = {"train": {"name": "a"}, "test": {"name": "b"}}
GOOD = packed_parquet(*TEST)
LABELS = [*TRAIN[1].tolist()]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"PAR1 or not", "expected a complete parquet file"),
        (packed_parquet(*TRAIN)[:-50], "expected a complete parquet file"),
        (packed_parquet(TRAIN[0], [None, *LABELS[1:]]), "for each image, 1 are missing"),
        (packed_parquet(TRAIN[0], names_of(TRAIN[1])), "write `first_label: names` in dataset"),
        (packed_parquet(TRAIN[0], TRAIN[1] + 1.5), "expected labels that are numbers"),
        (packed_parquet(TRAIN[0], [-1, *LABELS[1:]]), "expected labels from 0 to 2"),
        (
            packed_parquet(*TRAIN, columns={"image": pa.array(["a.png"] * 60)}),
            "column image: expected the bytes of image files, found str",
        ),
        (
            packed_parquet(*TRAIN, columns={"image": pa.array([{"bytes": None}] * 60)}),
            "column image: expected the bytes of image files, found NoneType",
        ),
    ],
)
def test_a_parquet_file_that_does_not_fit_is_refused(tmp_path, content, reason):
    message = refusal(tmp_path, own_dataset("parquet", HUB), {"a": content, "b": GOOD})
    assert reason in message, message


def test_a_parquet_file_without_the_columns_is_refused(tmp_path):
    dataset = own_dataset("parquet", HUB, format={"image": "img"})
    message = refusal(tmp_path, dataset, {"a": packed_parquet(*TRAIN), "b": GOOD})
    assert "expected a column named img; found image, label: correct `format`" in message


def test_groups_of_a_table_stay_together(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (60, 12, 10), np.uint8)
    writers = [f"w{row // 6}" for row in range(60)]
    dataset = own_dataset(
        "parquet", {"all": {"name": "a"}},
        splits={"test_fraction": 0.2, "test_split": "grouped", "group": "writer"},
    )  # fmt: skip
    content = packed_parquet(images, TRAIN[1], columns={"writer": pa.array(writers)})
    write_files(tmp_path / "data/tiny", {"a": content})
    found = process(tmp_path / "data", dataset, tmp_path, split="grouped")
    places = {image.tobytes(): row // 6 for row, image in enumerate(images)}
    sides = [
        {places[image.tobytes()] for image in load(found, f"x_{split}")}
        for split in ("train", "validation", "test")
    ]
    assert sum(map(len, sides)) == 10
    assert [len(side) for side in sides] == [6, 2, 2]


def test_qmnists_labels_and_emnists_first_label(tmp_path):
    numbers = np.stack([TRAIN[1] + 1, *[np.arange(60)] * 7], axis=1).astype(">i4")
    qmnist = bytes([0, 0, 0x0C, 2]) + np.array([60, 8], ">u4").tobytes() + numbers.tobytes()
    files = {
        "train_images": idx(TRAIN[0]), "train_labels": qmnist,
        "test_images": idx(TEST[0]), "test_labels": idx(TEST[1] + np.uint8(1)),
    }  # fmt: skip
    dataset = own_dataset(
        "idx", {role: {"name": role} for role in files}, format={"first_label": 1}
    )
    found = process_files(tmp_path, dataset, files)
    np.testing.assert_array_equal(load(found, "y_train"), TRAIN[1][:48])
    np.testing.assert_array_equal(load(found, "y_test"), TEST[1])
