"""Rows of a mapped array as an .npy file."""

import numpy as np
import pytest

from stages.preprocess import rows
from stages.preprocess.rows import write_rows


@pytest.mark.parametrize(
    "chosen", [[9, 0, 4, 4, 2, 1, 3], [5, 6, 7], []], ids=["in three blocks", "one block", "none"]
)
def test_rows_are_what_numpy_would_save(tmp_path, monkeypatch, chosen):
    monkeypatch.setattr(rows, "BLOCK_ROWS", 3)
    np.save(tmp_path / "all.npy", np.arange(70, dtype=np.uint8).reshape(10, 7))
    mapped = np.load(tmp_path / "all.npy", mmap_mode="r")
    chosen = np.array(chosen, np.intp)
    write_rows(tmp_path / "rows.npy", mapped, chosen)
    np.save(tmp_path / "numpy.npy", mapped[chosen])
    assert (tmp_path / "rows.npy").read_bytes() == (tmp_path / "numpy.npy").read_bytes()
