"""corrections.csv: what it may say, which images it changes, and what follows from it."""

import csv
import hashlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CLASSES, idx, make_section, tiny_files, tiny_images
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import encode, load, own_dataset, process, tiny_pictures, write_files

from stages.preprocess import source as source_module
from stages.preprocess.corrections import DROPPED, Correction, find_images, read_corrections
from stages.preprocess.main import Selection, select_images
from stages.preprocess.source import hash_pixels
from stages.run.params import Preprocess
from stages.shared.errors import UserError
from tools.shared.corrections import write_corrections

HASH, OTHER = "0123456789abcdef" * 4, "f" * 64
HEADER = "image,old,new,reason\n"
IMAGES, LABELS = tiny_images(60, seed=1)
TEST_IMAGES, TEST_LABELS = tiny_images(30, seed=2)
TAIL = make_section(Preprocess, validation_fraction=0.2, split="tail", split_seed=0)


@pytest.fixture(autouse=True)
def a_home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATASET_FOLDER", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def hash_of(image: np.ndarray) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


def write(folder: Path, text: str) -> Path:
    path = folder / "corrections.csv"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    path = write(folder, text)
    with pytest.raises(UserError) as caught:
        read_corrections(path, CLASSES)
    return str(caught.value).replace(f"{folder}/", "")


# Reading


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_rows_are_read_with_their_lines(tmp_path, ends, start):
    text = f"{start}{HEADER}{HASH},left,right,a bar\n\n{OTHER},middle,,\n"
    path = tmp_path / "corrections.csv"
    path.write_bytes(text.replace("\n", ends).encode())
    assert read_corrections(path, CLASSES) == {
        2: Correction(HASH, "left", "right", "a bar"),
        4: Correction(OTHER, "middle", "", ""),
    }


def test_what_the_tools_write_is_read_again(tmp_path):
    rows = [
        Correction(HASH, "left", "right", 'two\nlines, "quoted"'),
        Correction(HASH, "right", "", "Ä"),
    ]
    path = tmp_path / "corrections.csv"
    write_corrections(path, rows)
    assert path.read_bytes().startswith(HEADER.encode())
    assert b"\r" not in path.read_bytes()
    assert read_corrections(path, CLASSES) == {2: rows[0], 4: rows[1]}
    write_corrections(path, [])
    assert path.read_bytes() == HEADER.encode()
    assert read_corrections(path, CLASSES) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "corrections.csv, line 1: expected image,old,new,reason, found '': correct it"),
        ("image,old,new\n", "line 1: expected image,old,new,reason, found 'image,old,new'"),
        ("hash,old,new,reason\n", "found 'hash,old,new,reason'"),
        (f"{HEADER}{HASH},left,right\n", "line 2: expected image,old,new,reason, found 3 values"),
        (f"{HEADER}{HASH},left,right,a,b\n", "line 2: .* found 5 values"),
        (f"{HEADER}{HASH[1:]},left,right,\n", "line 2: image: expected a SHA-256, 64 digits"),
        (f"{HEADER}{HASH.upper()},left,right,\n", "line 2: image: .* of 0-9 and a-f, found '0123"),
        (f"{HEADER}{'g' * 64},left,right,\n", "line 2: image: .* found 'ggg"),
        (f"{HEADER}{HASH},up,right,\n", "line 2: old: expected a class of .*, found 'up'"),
        (f"{HEADER}{HASH},,right,\n", "line 2: old: expected a class of dataset.yaml, found ''"),
        (f"{HEADER}{HASH},left,up,\n", "line 2: new: expected a class of dataset.yaml, found 'up'"),
        (f"{HEADER}{HASH},left,left,\n", "line 2: new: 'left' as before: correct or remove"),
        (
            f"{HEADER}{HASH},left,right,\n{HASH},right,left,\n{HASH},left,,\n",
            "has 1 problem:\n  line 4: the image and old label of line 2 again: keep one of them",
        ),
        (f'{HEADER}{HASH},left,right,"no end\n', "line 2: expected comma-separated values"),
        (f"{HEADER}{HASH},left,right,{'a' * 200_000}\n", "line 2: expected comma-separated values"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, message):
    assert re.search(message, refusal(tmp_path, text))


def test_every_problem_stands_in_one_message(tmp_path):
    rows = f"{HASH},left,up,\n{OTHER},left,right,\nabc,up,right,\n{OTHER},left,,\n"
    assert refusal(tmp_path, HEADER + rows).splitlines() == [
        "corrections.csv has 4 problems:",
        "  line 2: new: expected a class of dataset.yaml, found 'up'",
        "  line 4: image: expected a SHA-256, 64 digits of 0-9 and a-f, found 'abc'",
        "  line 4: old: expected a class of dataset.yaml, found 'up'",
        "  line 5: the image and old label of line 3 again: keep one of them",
    ]
    many = refusal(tmp_path, HEADER + "x\n" * 1_300).splitlines()
    assert (many[0], many[-1]) == ("corrections.csv has 1,300 problems:", "  and 1,280 more")
    assert len(many) == 22


def test_a_file_that_is_missing_or_no_text(tmp_path):
    with pytest.raises(UserError, match=r"corrections\.csv is missing: `git checkout -- "):
        read_corrections(tmp_path / "corrections.csv", CLASSES)
    (tmp_path / "corrections.csv").write_bytes(HEADER.encode("utf-16"))
    with pytest.raises(UserError, match="expected UTF-8 text"):
        read_corrections(tmp_path / "corrections.csv", CLASSES)


WHOLE = f'{HEADER}{HASH},left,right,"a, b"\n{OTHER},middle,,c\n'.encode()


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, len(WHOLE)), length=st.integers(0, 9), put=st.binary(max_size=9))
def test_a_damaged_file_is_read_or_refused(tmp_path_factory, place, length, put):
    path = tmp_path_factory.mktemp("damaged") / "corrections.csv"
    path.write_bytes(WHOLE[:place] + put + WHOLE[place + length :])
    found, said = {}, str(path)
    try:
        found = read_corrections(path, CLASSES)
    except UserError as error:
        said = str(error)
    assert str(path) in said
    assert all(re.fullmatch("[0-9a-f]{64}", each.image) for each in found.values())
    assert all(each.old in CLASSES for each in found.values())
    assert all(each.new in ["", *CLASSES] and each.new != each.old for each in found.values())


# The hash of an image


def table(images: np.ndarray, labels: np.ndarray) -> bytes:
    file = io.StringIO()
    rows = csv.writer(file)
    rows.writerow(["label", *range(images[0].size)])
    rows.writerows([label, *image.ravel()] for image, label in zip(images, labels, strict=True))
    return file.getvalue().encode()


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def parquet(images: np.ndarray, labels: np.ndarray) -> bytes:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: the extra `parquet`")
    from pyarrow import parquet as writer  # noqa: PLC0415

    file = io.BytesIO()
    columns = {"image": [encode(image) for image in images], "label": labels}
    writer.write_table(pa.table(columns), file)
    return file.getvalue()


def select(place: Path, dataset: Any, preprocess: Any = TAIL) -> Selection:
    """What preprocess selects after `process` has run in that place."""
    corrections = place / "data/tiny/corrections.csv"
    return select_images(place / "raw", corrections, dataset, preprocess, place / "scratch")


SMALL = np.random.default_rng(5).integers(0, 256, (30, 7, 9), np.uint8)  # to be fitted to 12 x 10
SMALL_COLOUR = np.random.default_rng(5).integers(0, 256, (30, 7, 9, 3), np.uint8)


@pytest.mark.parametrize("kind", ["idx", "npz", "npz in colour", "csv", "parquet", "folder"])
def test_each_format_has_the_hash_of_what_the_source_has(tmp_path, kind):
    """Of the image's file, or of its pixels as they are before they are brought to a size."""
    changes: dict[str, Any] = {}
    images: list[np.ndarray] = [*IMAGES, *TEST_IMAGES]
    match kind:
        case "idx":
            files = tiny_files() | {"test_images": idx(SMALL)}
            images[60:] = SMALL
            roles: dict[str, Any] = {role: {"name": role} for role in files}
        case "npz" | "npz in colour":
            images[60:] = SMALL if kind == "npz" else SMALL_COLOUR
            arrays = {"x_train": IMAGES[..., None], "y_train": LABELS, "y_test": TEST_LABELS}
            files = {"all": npz(**arrays, x_test=np.stack(images[60:]))}
            roles = {"all": {"name": "all"}}
            if kind == "npz in colour":
                changes = {"images": {"colour": "rgb", "background": [0, 0, 0]}}
        case "csv":
            files = {"train": table(IMAGES, LABELS), "test": table(TEST_IMAGES, TEST_LABELS)}
            roles = {role: {"name": role} for role in files}
        case "parquet":
            files = {"train": parquet(IMAGES, LABELS), "test": parquet(TEST_IMAGES, TEST_LABELS)}
            roles = {role: {"name": role} for role in files}
        case _:
            files = {f"images/{name}": each for name, each in tiny_pictures().items()}
            roles = {"all": {"name": "images", "count": 90}}
            changes = {"format": {"layout": "splits"}}
    dataset = own_dataset(kind.split()[0], roles, **changes)
    write_files(tmp_path / "data/tiny", files)
    stratified = {"validation_fraction": 0.2, "split": "stratified", "split_seed": 0}
    process(tmp_path / "data", dataset, tmp_path, **stratified)
    found = select(tmp_path, dataset, make_section(Preprocess, **stratified)).source
    hashes = [found.hash_of(image) for image in range(90)]
    if kind in ("parquet", "folder"):
        expected = [hashlib.sha256(encode(image)).hexdigest() for image in images]
    else:
        expected = [hash_of(image) for image in images]
    assert sorted(hashes) == sorted(expected) if kind == "folder" else hashes == expected


def test_images_left_out_shift_no_hash(tmp_path):
    files = {f"images/{name}": each for name, each in tiny_pictures().items()}
    bad = min(files)
    files[bad] = b"no image"
    dataset = own_dataset(
        "folder", {"all": {"name": "images", "count": 90}}, format={"layout": "splits"},
        skip_bad=True,
    )  # fmt: skip
    write_files(tmp_path / "data/tiny", files)
    stratified = {"validation_fraction": 0.2, "split": "stratified", "split_seed": 0}
    process(tmp_path / "data", dataset, tmp_path, **stratified)
    found = select(tmp_path, dataset, make_section(Preprocess, **stratified)).source
    for image in range(89):
        content = files[f"images/{found.name_of(image)}"]
        assert found.hash_of(image) == hashlib.sha256(content).hexdigest()


def test_images_are_found_in_blocks_and_beside_others_that_begin_alike(monkeypatch):
    monkeypatch.setattr(source_module, "BLOCK_BYTES", 7 * 120)
    digests_of = hash_pixels([IMAGES, TEST_IMAGES, IMAGES[:5]])

    class Pixels:
        shape = (12, 10)

    class Found:
        labels = np.zeros(95)
        pixels = Pixels()

    found: Any = Found()
    found.digests_of = digests_of
    wanted = {hash_of(IMAGES[2]), hash_of(TEST_IMAGES[29]), hash_of(IMAGES[59])}
    alike = hash_of(IMAGES[9])[:16] + "0" * 48
    assert find_images(found, wanted | {alike}) == {
        hash_of(IMAGES[2]): [2, 92], hash_of(TEST_IMAGES[29]): [89], hash_of(IMAGES[59]): [59],
    }  # fmt: skip


# What preprocess makes of them


def process_corrected(
    place: Path,
    rows: list[Correction],
    images: np.ndarray = IMAGES,
    labels: np.ndarray = LABELS,
    split: dict[str, Any] | None = None,
    **changes: Any,
) -> dict[str, bytes]:
    """The arrays of the tiny data set from IDX files, with these corrections."""
    files = tiny_files() | {"train_images": idx(images), "train_labels": idx(labels)}
    write_files(place / "data/tiny", files)
    write_corrections(place / "data/tiny/corrections.csv", rows)
    dataset = own_dataset("idx", {role: {"name": role} for role in files}, **changes)
    return process(place / "data", dataset, place, **(split or {}))


def correct(image: np.ndarray, old: int, new: int | None = None) -> Correction:
    return Correction(hash_of(image), CLASSES[old], "" if new is None else CLASSES[new], "")


RANDOM = {"split": "random", "split_seed": 3}


@pytest.mark.parametrize("split", [{}, RANDOM, {"split": "stratified"}])
def test_training_and_validation_images_are_relabelled_or_dropped_and_none_moves(tmp_path, split):
    before = process_corrected(tmp_path / "before", [], split=split)
    held_out = [image.tobytes() for image in load(before, "x_validation")]
    places = [row for row in range(60) if IMAGES[row].tobytes() in held_out]
    trained = [row for row in range(60) if row not in places]
    relabelled, dropped = [trained[4], places[1]], [trained[7], places[3]]
    rows = [correct(IMAGES[row], LABELS[row], (LABELS[row] + 1) % 3) for row in relabelled]
    rows += [correct(IMAGES[row], LABELS[row]) for row in dropped]
    after = process_corrected(tmp_path / "after", rows, split=split)
    for name, chosen in (("train", trained), ("validation", places)):
        kept = [row for row in chosen if row not in dropped]
        expected = [(LABELS[row] + 1) % 3 if row in relabelled else LABELS[row] for row in kept]
        np.testing.assert_array_equal(load(after, f"x_{name}"), IMAGES[kept])
        np.testing.assert_array_equal(load(after, f"y_{name}"), expected)
    for name in ("x_test", "y_test", "y_test_trusted"):
        assert after[f"{name}.npy"] == before[f"{name}.npy"]


def test_test_images_stay_with_the_labels_as_given_and_trusted_ones_beside(tmp_path, capsys):
    before = process_corrected(tmp_path / "before", [])
    rows = [correct(TEST_IMAGES[3], TEST_LABELS[3], 1), correct(TEST_IMAGES[8], TEST_LABELS[8])]
    after = process_corrected(tmp_path / "after", rows)
    assert "csv: 1 images have another label, 1 have none\n" in capsys.readouterr().out
    assert {name for name in after if after[name] != before[name]} == {"y_test_trusted.npy"}
    expected = TEST_LABELS.astype(np.int32)
    expected[[3, 8]] = 1, DROPPED
    np.testing.assert_array_equal(load(after, "y_test_trusted"), expected, strict=True)


def test_more_than_256_classes_have_trusted_labels_as_well(tmp_path):
    labels = np.arange(900) % 300
    images = np.random.default_rng(0).integers(0, 256, (900, 12, 10), np.uint8)
    names = [f"class {number}" for number in range(300)]
    dataset = own_dataset("npz", {"all": {"name": "a.npz"}}, classes=names)
    arrays = {"x_train": images[:600], "y_train": labels[:600], "x_test": images[600:]}
    write_files(tmp_path / "data/tiny", {"a.npz": npz(**arrays, y_test=labels[600:])})
    row = Correction(hash_of(images[899]), "class 299", "class 0", "")
    write_corrections(tmp_path / "data/tiny/corrections.csv", [row])
    found = process(tmp_path / "data", dataset, tmp_path, split="tail", validation_fraction=0.5)
    trusted = load(found, "y_test_trusted")
    assert (trusted.dtype, trusted[298:].tolist()) == (np.int32, [298, 0])


def test_equal_images_all_change_but_only_those_of_the_old_label(tmp_path):
    images, labels = np.concatenate([IMAGES, IMAGES[[4, 4, 5]]]), [*LABELS, LABELS[4], 2, LABELS[5]]
    assert LABELS[4] == 1
    row = correct(IMAGES[4], 1, 2)
    found = process_corrected(tmp_path, [row], images, np.array(labels, np.uint8), split=RANDOM)
    all_labels = np.concatenate([load(found, "y_train"), load(found, "y_validation")])
    all_images = np.concatenate([load(found, "x_train"), load(found, "x_validation")])
    same = (all_images == IMAGES[4]).all(axis=(1, 2))
    assert all_labels[same].tolist() == [2, 2, 2]


@pytest.mark.parametrize("new", [None, 2], ids=["dropped", "relabelled"])
def test_a_correction_settles_a_conflict(tmp_path, new):
    images, labels = np.concatenate([IMAGES, IMAGES[[4]]]), np.array([*LABELS, 2], np.uint8)
    with pytest.raises(UserError, match="1 times equal images with different labels"):
        process_corrected(tmp_path / "before", [], images, labels)
    found = process_corrected(tmp_path / "after", [correct(IMAGES[4], 1, new)], images, labels)
    count = 61 if new else 60
    assert len(load(found, "y_train")) + len(load(found, "y_validation")) == count


def test_a_correction_may_make_a_conflict(tmp_path):
    """One of two equal images has another label, by an old one that fits it alone."""
    images, labels = np.concatenate([IMAGES, IMAGES[[4]]]), np.array([*LABELS, 2], np.uint8)
    rows = [correct(IMAGES[4], 1, 0)]
    with pytest.raises(UserError, match="1 times equal images with different labels"):
        process_corrected(tmp_path, rows, images, labels)


def test_a_settled_conflict_moves_no_other_image(tmp_path):
    """skip_bad has left the two images out until then."""
    images, labels = np.concatenate([IMAGES, IMAGES[[4]]]), np.array([*LABELS, 2], np.uint8)
    options = {"split": RANDOM, "skip_bad": True}
    before = process_corrected(tmp_path / "before", [], images, labels, **options)
    rows = [correct(IMAGES[4], 1, 2)]
    after = process_corrected(tmp_path / "after", rows, images, labels, **options)
    for split in ("train", "validation"):
        found = load(after, f"x_{split}")
        others = found[(found != IMAGES[4]).any(axis=(1, 2))]
        np.testing.assert_array_equal(others, load(before, f"x_{split}"))


def test_dropping_a_leaked_test_image_settles_it(tmp_path):
    images = np.concatenate([IMAGES, TEST_IMAGES[[6]]])
    labels = np.append(LABELS, TEST_LABELS[6])
    with pytest.raises(UserError, match="1 times equal images in different splits"):
        process_corrected(tmp_path / "before", [], images, labels)
    rows = [correct(TEST_IMAGES[6], TEST_LABELS[6])]
    after = process_corrected(tmp_path / "after", rows, images, labels)
    np.testing.assert_array_equal(load(after, "x_train"), IMAGES[:48])
    assert load(after, "y_test_trusted")[6] == DROPPED


def test_corrections_of_no_image_are_all_named(tmp_path):
    rows = [
        Correction(HASH, "left", "right", ""),
        correct(IMAGES[3], LABELS[3], 1),
        correct(IMAGES[4], 2, 0),
    ]
    with pytest.raises(UserError) as caught:
        process_corrected(tmp_path, rows)
    first, *lines, cure = str(caught.value).splitlines()
    assert first == f"{tmp_path}/data/tiny/corrections.csv has 2 problems:"
    assert lines == [
        f"  line 2: {HASH} as 'left': no image has this hash",
        f"  line 4: {hash_of(IMAGES[4])} as 'right': its label is 'middle'",
    ]
    assert cure == "Correct or remove these lines"
    assert not (tmp_path / "processed").exists()


def test_a_class_that_loses_all_its_images_is_named(tmp_path):
    rows = [correct(IMAGES[row], 1, 2 if row % 2 else None) for row in np.flatnonzero(LABELS == 1)]
    with pytest.raises(UserError, match=r"no train image of 1 of 3 classes: middle \(10 in all\)"):
        process_corrected(tmp_path, rows)


def test_not_every_test_image_may_be_dropped(tmp_path):
    rows = [correct(image, label) for image, label in zip(TEST_IMAGES, TEST_LABELS, strict=True)]
    with pytest.raises(UserError, match=r"corrections\.csv drops all 30 test images"):
        process_corrected(tmp_path, rows)
    process_corrected(tmp_path / "but one", rows[1:])
