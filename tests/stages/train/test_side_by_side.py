"""Members trained side by side have the bytes of members trained one after the other."""

import re
import threading
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
from conftest import CLASSES, SHAPE, tiny_block, tiny_images, training, write_parts

from stages.shared.errors import UserError
from stages.train import side_by_side
from stages.train.architectures import build_network
from stages.train.fitting import Method
from stages.train.members import fit_members
from stages.train.memory import training_bytes
from stages.train.parts import choose_parts, read_parts
from stages.train.side_by_side import PROCESS_BYTES, count_processes, fit_side_by_side

MAKER = partial(build_network, "mlp", SHAPE, len(CLASSES), **tiny_block("mlp"))


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    train, validation = (tiny_images(60, seed) for seed in (1, 2))
    return write_parts(tmp_path_factory.mktemp("processed"), train=train, validation=validation)


def fit_one_after_the_other(processed: Path, scratch: Path, train: object) -> list[bytes]:
    parts, held_out = choose_parts(*read_parts(processed), train.refit)
    networks, histories = fit_members(Method(MAKER, train), parts, held_out, 3, scratch)
    weights = [value.tobytes() for network in networks for value in network.get_weights()]
    return [*weights, repr(histories).encode()]


def training_processes() -> list[psutil.Process]:
    children = psutil.Process().children()
    alive = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in alive if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.slow
@pytest.mark.parametrize("refit", [False, True])
def test_the_bytes_are_the_same(processed, tmp_path, capfd, refit):
    train = training(epochs=2, members=3, threads=1, refit=refit, augmentation={"rotation": 10})
    expected = fit_one_after_the_other(processed, tmp_path / "one", train)
    fit_side_by_side(Method(MAKER, train), processed, 3, tmp_path / "two", 2)
    said = capfd.readouterr().out.splitlines()
    for member in (1, 2, 3):
        mine = [line for line in said if line.startswith(f"member {member} of 3: epoch ")]
        assert [re.search(r"epoch (\d/\d)", line)[1] for line in mine[-2:]] == ["1/2", "2/2"]
    assert fit_one_after_the_other(processed, tmp_path / "two", train) == expected
    assert "epoch" not in capfd.readouterr().out  # nothing was left to train


@pytest.mark.slow
def test_a_training_that_diverges_ends_all(processed, tmp_path):
    train = training(epochs=500, members=2, threads=1)
    train.learning_rate = 1e30
    with pytest.raises(UserError, match="training diverged"):
        fit_side_by_side(Method(MAKER, train), processed, 3, tmp_path, 2)
    deadline = time.monotonic() + 20
    while training_processes():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
def test_a_killed_process_is_one_line(processed, tmp_path, monkeypatch):
    train = training(epochs=10_000, members=2, threads=1)

    def kill_one() -> None:
        while True:
            if list(tmp_path.glob("*/*.npz")):
                training_processes()[0].kill()
                return
            time.sleep(0.05)

    threading.Thread(target=kill_one, daemon=True).start()
    with pytest.raises(UserError, match="a process that trains a member was killed"):
        fit_side_by_side(Method(MAKER, train), processed, 3, tmp_path, 2)


@pytest.mark.parametrize(
    ("threads", "members", "cores", "room", "expected"),
    [(2, 10, 8, 8, 1), (1, 10, 2, 8, 2), (1, 3, 8, 8, 3), (1, 10, 8, 2.5, 2), (1, 10, 8, 0.5, 1)],
)
def test_there_are_as_many_processes_as_cores_and_memory_allow(
    monkeypatch, threads, members, cores, room, expected
):
    train = training(threads=threads, members=members)
    each = PROCESS_BYTES + training_bytes(MAKER, train.batch_size)
    monkeypatch.setattr(side_by_side, "available_cores", lambda: cores)
    monkeypatch.setattr(side_by_side, "available_bytes", lambda: each * room)
    assert count_processes(Method(MAKER, train)) == expected
    assert count_processes(Method(MAKER, train, plain=True)) == 1
