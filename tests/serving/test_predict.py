"""tools.predict: what it prints of one image, of many, and of files that are none."""

import csv
import io
import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from classifiers import (
    DOUBTFUL,
    IMAGES,
    LABELS,
    classifier_folder,
    png,
    write_classifier,
)
from conftest import CLASSES, ROOT

__all__ = ["classifier_folder"]  # a fixture

TEXT = b"no image"
PREDICT = [sys.executable, "-m", "tools.predict"]


class Shell:
    """Runs tools.predict with the tiny classifier in the project's folder."""

    def __init__(self, classifier: Path, images: Path) -> None:
        self.classifier, self.images = classifier, images

    def predict(self, *words: object, code: int = 0, stdin: bytes = b"") -> tuple[str, str]:
        """What it prints to standard output and to standard error, the images' folder left out."""
        done = subprocess.run(
            [*PREDICT, "--classifier", self.classifier, *map(str, words)],
            cwd=ROOT, capture_output=True, check=False, input=stdin,
        )  # fmt: skip
        output, errors = done.stdout.decode(), done.stderr.decode()
        assert done.returncode == code, errors
        assert "Traceback" not in errors
        return output.replace(f"{self.images}/", ""), errors.replace(f"{self.images}/", "")


@pytest.fixture
def shell(classifier_folder: Path, tmp_path: Path) -> Shell:
    folder = tmp_path / "images"
    (folder / "b").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    (folder / "a.png").write_bytes(png(IMAGES[0]))
    (folder / "b" / "c.PNG").write_bytes(png(IMAGES[1]))
    (folder / "d.png").write_bytes(png(DOUBTFUL))
    for name in ("notes.txt", ".hidden.png", ".hidden/e.png"):
        (folder / name).write_bytes(TEXT)
    return Shell(classifier_folder, folder)


def test_an_image_gets_class_probability_and_runner_up(shell: Shell) -> None:
    output, errors = shell.predict(shell.images / "a.png")
    assert output == "a.png: left (0.998), then middle (0.001)\n"
    assert errors == ""


def test_an_answer_below_the_threshold_is_unsure(shell: Shell) -> None:
    file = shell.images / "d.png"
    assert shell.predict(file)[0] == "d.png: unsure, left (0.333), then middle (0.333)\n"
    assert "unsure" not in shell.predict(file, "--threshold", 0.3)[0]
    assert "unsure" in shell.predict(shell.images / "a.png", "--threshold", 1)[0]
    assert "expected 0 to 1, found 2" in shell.predict(file, "--threshold", 2, code=2)[1]


def test_standard_input_is_an_image(shell: Shell) -> None:
    assert shell.predict("-", stdin=png(IMAGES[1]))[0].startswith("-: middle (0.")
    assert "predict: -: " in shell.predict("-", stdin=TEXT, code=1)[1]


def test_a_folder_is_searched(shell: Shell) -> None:
    output, errors = shell.predict(shell.images)
    names = [line.partition(":")[0] for line in output.splitlines()]
    assert names == ["a.png", "b/c.PNG", "d.png"]
    assert errors == "3 images: 1 unsure, 0 unreadable\n"


def test_a_folder_without_images_is_named(shell: Shell, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "empty: expected a folder with images, found no" in shell.predict(empty, code=1)[1]


def test_bad_files_are_named_and_the_rest_is_answered(shell: Shell) -> None:
    (shell.images / "b.png").write_bytes(TEXT)
    (shell.images / "z.png").write_bytes(b"")
    words = (shell.images, shell.images / "none.png", shell.images / "notes.txt")
    output, errors = shell.predict(*words, code=1)
    assert len(output.splitlines()) == 3
    for name in ("b.png", "z.png", "notes.txt"):
        assert f"predict: {name}: " in errors
    assert "predict: none.png: No such file or directory\n" in errors
    assert errors.endswith("7 images: 1 unsure, 4 unreadable\n")


def test_json_is_an_object_a_line(shell: Shell) -> None:
    (shell.images / "ä.png").write_bytes(TEXT)
    output, _ = shell.predict(shell.images, "--json", code=1)
    first, _, third, bad = map(json.loads, output.splitlines())
    assert first == {
        "file": "a.png", "class": "left", "probability": 0.998214, "runner_up": "middle",
        "runner_up_probability": 0.001216, "unsure": False,
    }  # fmt: skip
    assert third["unsure"] is True
    assert bad.keys() == {"file", "error"}
    assert bad["file"] == "ä.png"


def test_csv_has_a_header_and_quotes(shell: Shell, tmp_path: Path) -> None:
    odd = shell.images / 'odd, "name".png'
    odd.write_bytes(png(IMAGES[2]))
    (shell.images / "z.png").write_bytes(TEXT)
    output, _ = shell.predict(shell.images, "--csv", code=1)
    rows = {row["file"]: row for row in csv.DictReader(io.StringIO(output))}
    assert rows['odd, "name".png']["class"] == CLASSES[LABELS[2]]
    assert rows["d.png"]["unsure"] == "true"
    assert rows["a.png"]["unsure"] == "false"
    assert rows["z.png"]["class"] == ""
    assert rows["z.png"]["error"]


def test_many_images_are_answered_in_order_within_bounded_memory(
    shell: Shell, tmp_path: Path
) -> None:
    """3,000 images: also not as many decoded ones at once."""
    many = tmp_path / "many"
    many.mkdir()
    for place in range(3000):
        (many / f"{place:04}.png").write_bytes(png(IMAGES[place % 30]))
    output, errors = shell.predict(many, "--csv")
    rows = list(csv.DictReader(io.StringIO(output)))
    assert [row["class"] for row in rows] == [CLASSES[LABELS[i % 30]] for i in range(3000)]
    assert errors == "3,000 images: 0 unsure, 0 unreadable\n"


def test_progress_is_shown_where_a_person_looks(shell: Shell, tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for place in range(200):
        (many / f"{place}.png").write_bytes(png(IMAGES[0]))
    code = (
        "import sys, tools.predict as p; p.PROGRESS_SECONDS = 0.0;"
        "sys.argv = ['predict', *sys.argv[1:]]; p.main()"
    )
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code, "--classifier", shell.classifier, many],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=theirs,
    ) as process:  # fmt: skip
        os.close(theirs)
        said = b""
        try:
            while part := os.read(ours, 4096):
                said += part
        except OSError:  # Linux says so when the other side is closed
            pass
        os.close(ours)
    assert process.returncode == 0
    assert b"\r200 images, " in said


def test_a_reader_that_ends_early_is_no_error(shell: Shell, tmp_path: Path) -> None:
    many = [str(shell.images / "a.png")] * 3000
    command = [sys.executable, "-m", "tools.predict", "--classifier", str(shell.classifier), *many]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


def test_without_a_threshold_it_says_so_once(shell: Shell, tmp_path: Path) -> None:
    shell.classifier = write_classifier(tmp_path / "refitted", threshold=None)
    output, errors = shell.predict(shell.images / "d.png", shell.images / "d.png")
    assert "unsure" not in output
    assert errors.count("no threshold") == 1
    assert "--threshold" in errors
    output, errors = shell.predict(shell.images / "d.png", "--threshold", 0.5)
    assert "d.png: unsure, left" in output
    assert errors == ""


def test_a_missing_classifier_is_named_with_the_cure(shell: Shell, tmp_path: Path) -> None:
    shell.classifier = tmp_path
    _, errors = shell.predict(shell.images / "a.png", code=1)
    assert errors.startswith("predict: ")
    assert "model.json is missing: `dvc repro` makes it, `dvc pull` brings it" in errors


def test_colour_classifiers_read_colour(shell: Shell, tmp_path: Path) -> None:
    images = {"height": 12, "width": 10, "colour": "rgb", "fit": "crop", "background": [0, 0, 0]}
    shell.classifier = write_classifier(tmp_path / "colour", channels=3, images=images)
    file = shell.images / "colour.png"
    file.write_bytes(png(np.stack([IMAGES[1]] * 3, axis=-1)))
    assert "colour.png: middle (" in shell.predict(file)[0]


def test_the_first_answer_is_quick_and_small(shell: Shell) -> None:
    """Half a second on an idle machine; this only sees an import too many."""
    command = [sys.executable, "-m", "tools.predict", "--classifier", str(shell.classifier)]
    seconds = []
    for _ in range(3):
        start = time.monotonic()
        subprocess.run(
            [*command, str(shell.images / "a.png")], cwd=ROOT, check=True, capture_output=True
        )
        seconds.append(time.monotonic() - start)
    assert min(seconds) < 1.5


def test_it_takes_little_memory(shell: Shell) -> None:
    measure = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-m", "tools.predict", "--classifier", str(shell.classifier)]
    done = subprocess.run(
        [sys.executable, "-c", measure, *command, str(shell.images / "a.png")],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout.split()[-1]) * unit < 150e6
