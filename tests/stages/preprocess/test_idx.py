"""IDX files: complete ones become arrays, all others are refused."""

from pathlib import Path

import numpy as np
import pytest
from conftest import idx, tiny_images
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stages.preprocess.idx import read_idx
from stages.shared.errors import UserError

IMAGES, LABELS = tiny_images(60, seed=1)
COMPLETE = idx(IMAGES[:2])
HEADER = COMPLETE[:16]
START = r"a header that starts with 0000, a type \(08, 09, 0b, 0c\) and 1 to 4 dimensions"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for the many examples of a test."""
    return tmp_path_factory.mktemp("scratch") / "file.idx"


@pytest.mark.parametrize("array", [IMAGES, LABELS], ids=["images", "labels"])
def test_an_idx_file_is_read_as_it_was_written(tmp_path, array):
    (tmp_path / "file.idx").write_bytes(idx(array))
    found = read_idx(tmp_path / "file.idx")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, array, strict=True)


def test_an_idx_file_cannot_be_changed_by_its_reader(tmp_path):
    (tmp_path / "file.idx").write_bytes(idx(LABELS))
    with pytest.raises(ValueError, match="read-only"):
        read_idx(tmp_path / "file.idx")[0] = 1


def test_dimensions_are_big_endian(tmp_path):
    content = bytes.fromhex("00000803 00000001 00000002 00000100") + bytes(512)
    (tmp_path / "file.idx").write_bytes(content)
    assert read_idx(tmp_path / "file.idx").shape == (1, 2, 256)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x01" + COMPLETE[1:], rf"{START}; found 01000803"),
        (COMPLETE[:2] + b"\x0d" + COMPLETE[3:], rf"{START}; found 00000d03"),
        (COMPLETE[:3] + b"\x00" + COMPLETE[4:], rf"{START}; found 00000800"),
        (idx(IMAGES[:2].reshape(2, 3, 2, 2, 10)), rf"{START}; found 00000805"),
        (b"\x1f\x8b\x08\x00" + COMPLETE, rf"{START}; found 1f8b0800"),
        (b"<html><body>Please log in", rf"{START}; found 3c68746d"),
        (b"", rf"{START}; found nothing"),
        (COMPLETE[:3], rf"{START}; found 000008\."),
        (HEADER[:-1], r"a header of 16 bytes; found 15 bytes\."),
        (HEADER, r"256 bytes for the shape \(2, 12, 10\), none of it 0; found 16\."),
        (COMPLETE[:-1], r"256 bytes for the shape \(2, 12, 10\), none of it 0; found 255\."),
        (COMPLETE + b"\0", r"256 bytes for the shape \(2, 12, 10\), none of it 0; found 257\."),
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
        read_idx(tmp_path / "file.idx")
    assert str(caught.value).startswith(f"{tmp_path / 'file.idx'}: expected ")
    assert str(caught.value).endswith("`dvc repro -f fetch` renews it")


@pytest.mark.parametrize("name", ["file.idx", "."], ids=["nothing", "a folder"])
def test_a_missing_idx_file_says_how_to_get_it(tmp_path, name):
    with pytest.raises(UserError, match="is missing: `dvc repro fetch` brings it"):
        read_idx(tmp_path / name)


@settings(deadline=None)  # a busy machine is no defect
@given(
    content=st.binary(max_size=64)
    | st.binary(max_size=32).map(lambda rest: bytes([0, 0, 8, 1, 0, 0, 0]) + rest),
)
@example(content=idx(LABELS))
@example(content=bytes([0, 0, 8, 1, 0, 0, 0, 1, 7]))
def test_any_bytes_are_an_array_of_all_of_them_or_an_error(scratch, content):
    scratch.write_bytes(content)
    try:
        found = read_idx(scratch)
    except UserError:
        return
    header = content[:4] + np.array(found.shape, ">u4").tobytes()
    assert header + found.tobytes() == content
