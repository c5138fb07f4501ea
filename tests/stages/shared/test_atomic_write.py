"""A file appears under its name complete or not at all."""

from pathlib import Path

import pytest

from stages.shared.atomic_write import atomic_write


def write_half(path: Path, fault: type[BaseException]) -> None:
    with atomic_write(path) as file:
        file.write(b"half of the n")
        raise fault


def test_a_missing_folder_is_made_for_the_file(tmp_path):
    with atomic_write(tmp_path / "a" / "b" / "file") as file:
        file.write(b"content")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"content"
    assert len(list((tmp_path / "a" / "b").iterdir())) == 1


def test_the_old_content_stays_until_the_new_is_complete(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_after_a_fault_only_the_old_content_is_there(tmp_path, fault):
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


def test_the_leftover_of_a_killed_run_is_overwritten(tmp_path):
    (tmp_path / "file.part").write_bytes(b"a long leftover of a run that was killed")
    with atomic_write(tmp_path / "file") as file:
        file.write(b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"new"}


def test_a_file_with_other_names_is_replaced_not_overwritten(tmp_path):
    """DVC may link outputs to its cache: writing into them would damage the cache."""
    cached, path = tmp_path / "cached", tmp_path / "file"
    cached.write_bytes(b"cached")
    path.hardlink_to(cached)
    with atomic_write(path) as file:
        file.write(b"new")
    assert cached.read_bytes() == b"cached"
