"""What a user sees of a training in a terminal, and what an interrupt leaves."""

import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator

import pytest
from conftest import Project, tiny_images, write_parts


def read_until(pattern: str, terminal: int, seconds: float) -> str:
    """What appears in the terminal until the pattern does or the program ends."""
    output, end = b"", time.monotonic() + seconds
    while not re.search(pattern, output.decode(errors="ignore")):
        assert time.monotonic() < end, f"no {pattern} in:\n{output.decode(errors='ignore')}"
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                output += os.read(terminal, 1 << 16)
            except OSError:  # how Linux tells that the program has closed the terminal
                break
    return output.decode(errors="ignore")


@pytest.fixture(scope="module")
def session(
    fresh_project: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Project, str, int]]:
    """A long training as started in a terminal, interrupted in its third epoch."""
    project = fresh_project.copy(tmp_path_factory.mktemp("session") / "clone")
    project.edit({"train.epochs": 10_000, "train.augmentation.rotation": 5})
    (project.folder / "temporary").mkdir()
    environment = project.environment | {"TMPDIR": str(project.folder / "temporary")}
    part = tiny_images(60, seed=1)
    write_parts(project.folder / "data/processed", train=part, validation=part)
    terminal, side = pty.openpty()
    termios.tcsetwinsize(side, (24, 80))  # rows and columns; in a terminal of none, no bar is drawn
    command = ["python", "-m", "stages.run", "train", "data/processed", "models", "reports"]
    process = subprocess.Popen(
        command, cwd=project.folder, env=environment, stdin=side, stdout=side, stderr=side
    )
    os.close(side)
    try:
        output = read_until("epoch 3/", terminal, seconds=60)
        process.send_signal(signal.SIGINT)
        output += read_until("(?!)", terminal, seconds=30)
        yield project, output, process.wait(timeout=30)
    finally:
        process.kill()
        os.close(terminal)


def test_a_terminal_shows_a_live_bar(session):
    _project, output, _code = session
    assert re.search(r"\repoch 1/10000: +\d+%\|", output)  # it draws over itself
    assert "epoch 1/10000  accuracy" in output


def test_the_bar_never_counts_more_steps_than_there_are(session):
    _project, output, _code = session
    steps = re.findall(r"epoch \d+/10000: .*?(\d+)/(\d+) \[", output)
    assert steps
    assert all(int(done) <= int(total) == 4 for done, total in steps)


def test_tensorflows_greeting_is_hidden(session):
    _project, output, _code = session
    assert not re.search("absl|oneDNN|I0000|cuda|rebuild TensorFlow", output, re.IGNORECASE)
    assert output.startswith('Model: "mlp"')


def test_the_table_of_layers_has_no_colours_of_the_terminal(session):
    project, _output, _code = session
    table = project.read("models/layers.txt")
    assert "\x1b" not in table
    assert "Total params" in table


def test_an_interrupt_ends_quietly_and_leaves_no_model(session):
    project, output, code = session
    assert code == -signal.SIGINT
    assert "Traceback" not in output
    found = sorted(path.name for path in (project.folder / "models").iterdir())
    assert found == [".gitignore", "layers.txt"]
    assert not (project.folder / "reports" / "validation.json").exists()


def test_an_interrupt_leaves_nothing_in_the_systems_temporary_folder(session):
    project, _output, _code = session
    assert not list((project.folder / "temporary").iterdir())
