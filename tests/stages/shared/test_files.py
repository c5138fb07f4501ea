"""Reading and writing: whole files or none, and a message for everything that is damaged."""

import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.evaluate.main import write_json
from stages.plots.reports import read_json, read_table
from stages.shared import arrays
from stages.shared.arrays import read_array, write_array, write_table
from stages.shared.atomic_write import atomic_write
from stages.shared.errors import UserError

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
READERS = [read_array, read_json, read_table]


def refusal(read: Callable[[Path], object], path: Path) -> str:
    """The message of a file that cannot be read; it names the file and says what to do."""
    with pytest.raises(UserError) as caught:
        read(path)
    message = str(caught.value)
    assert str(path) in message
    assert "`dvc repro` makes it anew" in message
    return message


def write_half(path: Path, fault: type[BaseException]) -> None:
    with atomic_write(path) as file:
        file.write(b"half of the n")
        raise fault


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


# Replacing


def test_a_file_is_written_into_a_folder_that_is_made_for_it(tmp_path):
    with atomic_write(tmp_path / "a" / "b" / "file") as file:
        file.write(b"content")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"content"
    assert len(list((tmp_path / "a" / "b").iterdir())) == 1


def test_the_old_content_stays_until_the_new_is_whole(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_after_a_fault_the_old_content_is_there_and_nothing_else(tmp_path, fault):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(fault):
        write_half(path, fault)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_after_a_fault_a_new_file_does_not_appear(tmp_path):
    with pytest.raises(ValueError, match=r"^$"):
        write_half(tmp_path / "file", ValueError)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_overwritten(tmp_path):
    (tmp_path / "file.part").write_bytes(b"a long rest of a run that was killed")
    with atomic_write(tmp_path / "file") as file:
        file.write(b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"new"}


def test_a_file_that_has_other_names_is_replaced_not_overwritten(tmp_path):
    """DVC may link outputs to its cache: writing into them would damage the cache."""
    cached, path = tmp_path / "cached", tmp_path / "file"
    cached.write_bytes(b"cached")
    path.hardlink_to(cached)
    with atomic_write(path) as file:
        file.write(b"new")
    assert cached.read_bytes() == b"cached"


# Whatever is read


@pytest.mark.parametrize("read", READERS)
def test_a_missing_file_is_named_with_what_brings_it(tmp_path, read):
    assert "file is missing: " in refusal(read, tmp_path / "file")


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"garbage\nmore\n", b"\x00\n" * 99])
def test_garbage_is_refused(tmp_path, read, content):
    (tmp_path / "file").write_bytes(content)
    assert "expected" in refusal(read, tmp_path / "file")


# Arrays


def test_rows_are_what_numpy_would_save(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "BLOCK", 3)
    write_array(tmp_path / "all.npy", np.arange(70, dtype=np.uint8).reshape(10, 7))
    mapped = read_array(tmp_path / "all.npy")
    for rows in ([9, 0, 4, 4, 2, 1, 3], [5, 6, 7], []):
        chosen = np.array(rows, np.intp)
        arrays.write_rows(tmp_path / "rows.npy", mapped, chosen)
        np.save(tmp_path / "numpy.npy", mapped[chosen])
        assert (tmp_path / "rows.npy").read_bytes() == (tmp_path / "numpy.npy").read_bytes()


@pytest.mark.parametrize(
    "array", [ARRAY, ARRAY.astype(np.float32), np.zeros((0, 3)), np.float64(1.5)],
    ids=["bytes", "floats", "empty", "scalar"],
)  # fmt: skip
def test_an_array_comes_back_as_it_was(tmp_path, array):
    write_array(tmp_path / "array.npy", array)
    back = read_array(tmp_path / "array.npy")
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array, strict=True)


def test_an_array_is_the_same_bytes_each_time_and_plain_numpy_reads_it(tmp_path):
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
    """They would be pickled, and a pickle can do anything to who opens it."""
    objects = np.array([{"a": 1}, "text"], dtype=object)
    with pytest.raises(ValueError, match="Object arrays"):
        write_array(tmp_path / "array.npy", objects)
    assert list(tmp_path.iterdir()) == []
    np.save(tmp_path / "array.npy", objects, allow_pickle=True)
    assert "objects" in refusal(read_array, tmp_path / "array.npy")


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
def test_a_huge_shape_is_refused_before_any_memory_is_taken(tmp_path, shape):
    (tmp_path / "array.npy").write_bytes(npy(header(str(shape))))
    tracemalloc.start()
    try:
        refusal(read_array, tmp_path / "array.npy")
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 10**7


# JSON


@pytest.mark.parametrize("value", [{"accuracy": 0.98, "wrong": 3}, [], [{"class": "Ä", "n": None}]])
def test_json_comes_back_as_it_was(tmp_path, value):
    write_json(tmp_path / "file.json", value)
    assert read_json(tmp_path / "file.json") == value


def test_json_is_a_text_file_with_a_line_a_value_in_the_given_order(tmp_path):
    write_json(tmp_path / "file.json", {"b": 1, "a": 0.5})
    assert (tmp_path / "file.json").read_bytes() == b'{\n  "b": 1,\n  "a": 0.5\n}\n'


def test_a_value_that_json_cannot_hold_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "file.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "file.json", {"a": {1, 2}})
    assert read_json(tmp_path / "file.json") == {"a": 1}
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("text", ['{"a": 1', "{'a': 1}", '{"a": 1} {}', "[" * 100_000, "1" * 5000])
def test_damaged_json_is_refused(tmp_path, text):
    (tmp_path / "file.json").write_text(text, encoding="utf-8")
    assert "expected JSON" in refusal(read_json, tmp_path / "file.json")


# Tables


def test_a_table_comes_back_as_it_was(tmp_path):
    columns = {"epoch": [1, 2, 3], "loss": np.array([0.1, 1e-9, 1 / 3]), "rate": [np.nan, 0, -2.5]}
    write_table(tmp_path / "file.csv", columns)
    back = read_table(tmp_path / "file.csv")
    assert list(back) == list(columns)
    for name, values in columns.items():
        np.testing.assert_array_equal(back[name], values)


def test_a_table_is_plain_csv(tmp_path):
    write_table(tmp_path / "file.csv", {"epoch": range(1, 3), "loss": iter([0.5, 0.25])})
    assert (tmp_path / "file.csv").read_bytes() == b"epoch,loss\n1,0.5\n2,0.25\n"


def test_a_table_without_rows_has_empty_columns(tmp_path):
    write_table(tmp_path / "file.csv", {"epoch": [], "loss": []})
    back = read_table(tmp_path / "file.csv")
    assert {name: len(column) for name, column in back.items()} == {"epoch": 0, "loss": 0}


def test_columns_of_unequal_length_are_not_written(tmp_path):
    write_table(tmp_path / "file.csv", {"epoch": [1]})
    with pytest.raises(ValueError, match="shorter"):
        write_table(tmp_path / "file.csv", {"epoch": [1, 2], "loss": [0.5]})
    assert (tmp_path / "file.csv").read_bytes() == b"epoch\n1\n"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n1,x\n",
        "a,b\n1\n2\n",
        "a,b\n1,2,3\n",
        "a,b\n1,2\n3\n",
        "a\n1\n\n",
        "a\n" + "1" * 200_000,
    ],
    ids=["empty", "text", "too narrow", "too wide", "ragged", "blank line", "endless field"],
)
def test_a_damaged_table_is_refused(tmp_path, text):
    (tmp_path / "file.csv").write_text(text, encoding="utf-8")
    assert "expected a header and numbers" in refusal(read_table, tmp_path / "file.csv")
