"""Memory: a network too large for it is refused before it is built."""

import resource
from functools import partial
from pathlib import Path

import pytest
from conftest import CLASSES, SHAPE, tiny_block

from stages.shared.errors import UserError
from stages.train import memory
from stages.train.architectures import build_network
from stages.train.memory import available_bytes, refuse_too_large

WEIGHTS = 120 * 8 + 8 + 8 * 3 + 3
OUTPUTS = 3 * 120 + 8 + 3  # input, scaled, flattened; two layers
MAKER = partial(
    build_network, "mlp", SHAPE, len(CLASSES), **tiny_block("mlp", units=[8], dropout=[0.0])
)


@pytest.mark.parametrize("members", [1, 3])
def test_what_just_fits_is_accepted_and_a_byte_less_is_too_little(monkeypatch, members):
    needed = WEIGHTS * 4 * (11 + 5 * (members - 1)) + OUTPUTS * 4 * 2
    monkeypatch.setattr(memory, "available_bytes", lambda: needed)
    refuse_too_large(MAKER, "mlp", members, 2)
    monkeypatch.setattr(memory, "available_bytes", lambda: needed - 1)
    with pytest.raises(
        UserError, match=rf"model\.mlp\.units: training {members} x {WEIGHTS} weights"
    ):
        refuse_too_large(MAKER, "mlp", members, 2)


def test_another_network_is_named_by_its_block(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 0)
    block = tiny_block("cnn", batch_normalization=True)
    with pytest.raises(UserError, match=r"^model\.cnn: training 1 x "):
        refuse_too_large(partial(build_network, "cnn", SHAPE, 3, **block), "cnn", 1, 0)


def test_a_batch_too_large_is_refused_with_one_that_fits(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 8 * OUTPUTS * 100)
    refuse_too_large(MAKER, "mlp", 1, 100)
    with pytest.raises(UserError, match=r"^train\.batch_size: .* 1000 images .* Lower it to 100,"):
        refuse_too_large(MAKER, "mlp", 1, 1000)


def test_the_lowest_limit_counts(tmp_path, monkeypatch):
    limits = {"RLIMIT_AS": resource.RLIM_INFINITY}
    monkeypatch.setattr("resource.getrlimit", lambda _which: (limits["RLIMIT_AS"], 0))
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 1000, "SC_PHYS_PAGES": 8000}.get)
    for name in ("MEMORY", "CONTAINER", "PAGES_HERE"):
        monkeypatch.setattr(memory, name, tmp_path / name)
    assert available_bytes() == 8_000_000
    (tmp_path / "MEMORY").write_text("MemFree: 1 kB\nMemAvailable:   4000 kB\n", encoding="utf-8")
    assert available_bytes() == 4_096_000
    for text, expected in [("max\n", 4_096_000), ("3000000\n", 3_000_000)]:
        (tmp_path / "CONTAINER").write_text(text, encoding="utf-8")
        assert available_bytes() == expected
    limits["RLIMIT_AS"] = 2_500_000
    assert available_bytes() == 2_500_000
    (tmp_path / "PAGES_HERE").write_text("1500 20 3", encoding="utf-8")
    assert available_bytes() == 1_000_000


def test_this_machine_tells_what_it_has():
    assert 1e8 < available_bytes() < 1e15
    assert Path("/proc").exists() == memory.MEMORY.exists()
