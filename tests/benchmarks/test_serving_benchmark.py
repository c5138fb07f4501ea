"""The servers' benchmark: its table, and how it finds what belongs to a server."""

import subprocess
import sys
from pathlib import Path

import pytest
from classifiers import classifier_folder
from PIL import Image

from benchmarks.serving import __main__ as benchmark
from benchmarks.serving.__main__ import Load

__all__ = ["classifier_folder"]  # a fixture


def test_the_table_compares_medians_with_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "CSV", tmp_path / "serving.csv")
    ours = [Load(4000, 10, 100), Load(1, 1000, 100), Load(3000, 20, 90)]
    benchmark.write_rows({"this server": ours, "another": [Load(1000, 40, 400)]})
    first, second = benchmark.markdown_table(benchmark.read_rows()).splitlines()[2:4]
    assert first == "| this server | 3,000 |  | 20.0 ms |  | 100 MB |  |"
    assert second == "| another | 1,000 | 3.00 | 40.0 ms | 0.50 | 400 MB | 0.25 |"


def test_memory_is_that_of_all_processes() -> None:
    child = "held = bytearray(50_000_000); import time; time.sleep(60)"
    code = (
        "import subprocess, sys\n"
        f"with subprocess.Popen([sys.executable, '-c', {child!r}]) as child:\n"
        "    print(child.pid, flush=True); sys.stdin.read(); child.kill()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        started = int(process.stdout.readline())
        assert benchmark.tree_of(process.pid) == [process.pid, started]
        assert benchmark.resident(process.pid) > benchmark.resident(started)
        process.communicate("")
    assert benchmark.tree_of(process.pid) == []


def test_peers_that_are_not_installed_are_left_out(
    classifier_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = benchmark.commands_of(sys.executable, classifier_folder)
    assert list(commands) == ["this server", "ten lines of FastAPI"]
    assert "LitServe is left out: " in capsys.readouterr().out


def test_the_image_is_what_the_network_takes(classifier_folder: Path, tmp_path: Path) -> None:
    script = benchmark.write_request(tmp_path, classifier_folder)
    with Image.open(tmp_path / "image.png") as image:
        assert (image.size, image.mode) == ((10, 12), "L")
    assert str(tmp_path) in script.read_text(encoding="utf-8")
