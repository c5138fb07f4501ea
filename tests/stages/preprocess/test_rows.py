"""Rows of a mapped array as an .npy file."""

import shutil

import numpy as np
import pytest

from stages.preprocess import source
from stages.preprocess.rows import refuse_no_room, write_rows
from stages.shared.errors import UserError


@pytest.mark.parametrize(
    "chosen", [[9, 0, 4, 4, 2, 1, 3], [5, 6, 7], []], ids=["in three blocks", "one block", "none"]
)
def test_rows_are_what_numpy_would_save(tmp_path, monkeypatch, chosen):
    monkeypatch.setattr(source, "BLOCK_BYTES", 3 * 7)
    np.save(tmp_path / "all.npy", np.arange(70, dtype=np.uint8).reshape(10, 7))
    mapped = np.load(tmp_path / "all.npy", mmap_mode="r")
    chosen = np.array(chosen, np.intp)
    write_rows(tmp_path / "rows.npy", mapped, chosen, (len(chosen), 7), np.uint8)
    np.save(tmp_path / "numpy.npy", mapped[chosen])
    assert (tmp_path / "rows.npy").read_bytes() == (tmp_path / "numpy.npy").read_bytes()


def test_a_full_disk_is_noticed_before_anything_is_written(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_010))
    refuse_no_room(tmp_path, 1_000, "Make room")
    with pytest.raises(UserError, match=r"1,001 bytes .*, and 1,010 are free\. Make room"):
        refuse_no_room(tmp_path, 1_001, "Make room")
