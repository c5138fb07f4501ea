"""The measuring: what it computes, sees and writes. What it measures runs by `make bench`."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Project, idx, tiny_images

from benchmarks.speed import __main__, results, toy_pipeline
from benchmarks.speed.bigger_data import repeat_images
from benchmarks.speed.clone import STAGE_COMMAND, STAGE_PATHS, Clone
from benchmarks.speed.measure import Measurement, median_difference, median_ratio, run_in_turn
from benchmarks.speed.results import Limit, Result
from benchmarks.speed.rows import LIMITS
from stages.preprocess.idx import read_idx
from stages.run.yaml_files import read_yaml

HERE = {"PATH": str(Path(sys.executable).parent)}


def python(code: str) -> Measurement:
    """The code's process as measured by a small one: a process' peak is its starter's at the least,
    and these tests may have TensorFlow in memory.
    """
    measure = (
        "import json, pathlib, sys; from benchmarks.speed.measure import run_process;"
        "print(json.dumps(run_process(json.loads(sys.argv[1]), pathlib.Path.cwd(), {})))"
    )
    command = json.dumps([sys.executable, "-c", code])
    done = subprocess.run(
        [sys.executable, "-c", measure, command],
        cwd=ROOT, env=HERE, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr)
    seconds, peak, private, lines, others = json.loads(done.stdout)
    return Measurement(seconds, peak, private, [(second, line) for second, line in lines], others)


# measure


def test_a_run_is_measured_with_its_children() -> None:
    measured = python(
        "import subprocess, sys, time; time.sleep(0.2);"
        "subprocess.run([sys.executable, '-c', 'len(bytearray(200_000_000))'], check=True)"
    )
    assert 0.2 < measured.seconds < 20
    assert 200e6 < measured.peak < 300e6
    assert measured.private < 100e6  # of the command's own process


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells private memory")
def test_mapped_files_are_no_private_memory(tmp_path: Path) -> None:
    path = tmp_path / "mapped"
    path.write_bytes(bytes(100_000_000))
    opened = f"import mmap, time; f = open({str(path)!r}, 'rb');"
    mapped = f"{opened} m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ); sum(m[::4096])"
    copied = f"{opened} m = f.read(); time.sleep(0.1)"
    for code, high in [(mapped, False), (copied, True)]:
        measured = python(code)
        assert measured.peak > 100e6
        assert (measured.private > 100e6) == high


def test_a_command_that_fails_says_what_it_printed() -> None:
    with pytest.raises(RuntimeError, match="ended with 3:\nno luck"):
        python("import sys; print('no luck'); sys.exit(3)")


def test_seconds_of_an_epoch_leave_out_what_comes_before_its_second() -> None:
    lines = [
        (5.0, "x\n"),
        (9.0, "epoch 1/3  loss 1\n"),
        (9.5, "epoch 2/3 \n"),
        (11.0, "epoch 3/3 \n"),
    ]
    assert Measurement(12.0, 0, 0, lines).epoch_seconds == 1.0
    with pytest.raises(ValueError, match="expected the lines of two epochs"):
        _ = Measurement(12.0, 0, 0, lines[:2]).epoch_seconds


def test_lines_carry_the_second_they_came_at() -> None:
    measured = python(
        "import time\nfor i in (1, 2, 3): print(f'epoch {i}/3  loss', flush=True); time.sleep(0.4)"
    )
    assert 0.2 < measured.epoch_seconds < 2  # a busy machine may be late for some


def test_commands_run_in_turn() -> None:
    order: list[str] = []

    def command(name: str) -> Measurement:
        order.append(name)
        return Measurement(1.0, 0, 0, [])

    done = run_in_turn(
        {"a": lambda: command("a"), "b": lambda: command("b")}, 2, say=lambda _: None
    )
    assert order == ["a", "b", "a", "b"]
    assert [len(runs) for runs in done.values()] == [2, 2]


def test_ratio_and_difference_are_of_pairs() -> None:
    ours, peer = [1.0, 9.0, 2.0], [2.0, 10.0, 10.0]
    assert median_ratio(ours, peer) == 0.5  # of 0.5, 0.9, 0.2; that of the medians is 0.2
    assert median_difference(ours, peer) == -1.0


def test_what_else_runs_is_seen() -> None:
    busy = "import time; end = time.monotonic() + 1.5\nwhile time.monotonic() < end: pass"
    with subprocess.Popen([sys.executable, "-c", busy]) as other:
        measured = python("import time; time.sleep(1)")
    assert other.returncode == 0
    assert measured.others > 0.3  # of its own processor; on a busy machine it gets less of it


# results


def test_values_of_both_sides_are_compared() -> None:
    ours, peer = [Measurement(4.0, 0, 0, [], others=0.5)], [Measurement(2.0, 0, 0, [])]
    assert results.compare("x", "s", ours, peer, results.seconds, "why", 10) == Result(
        "x", "s", [4.0], [20.0], "why", 0.5
    )


def test_a_row_takes_the_place_of_its_earlier_one_and_stands_in_order(tmp_path: Path) -> None:
    path, order = tmp_path / "speed.csv", ["first", "second", "third"]
    for what, ours in [("third", 3.0), ("first", 1.0), ("gone", 0.0), ("third", 6.0)]:
        row = results.row(Result(what, "s", [ours], [2.0], "a, b"), "machine", "versions")
        results.replace([row], [*order, "gone"] if what == "gone" else order, path)
    rows = results.read(path)
    assert [(row["what"], row["ours"], row["ratio"]) for row in rows] == [
        ("first", "1.000", "0.500"),
        ("third", "6.000", "3.000"),
    ]
    assert rows[0]["note"] == "a, b"
    with pytest.raises(ValueError, match="expected rows that LIMITS names, found"):
        results.replace([row | {"what": "fourth"}], order, path)


def test_a_table_shows_what_the_limit_is_of() -> None:
    row = results.row(Result("x", "s", [7.0], [2.0], "why"), "machine", "versions")
    assert results.cells(row, Limit(0.9, 0.5)) == [
        "x", "7.00 s", "2.00 s", "3.50", "0.9", "0.5", "1", "why"
    ]  # fmt: skip
    busy = results.row(Result("x", "s", [7.0], [2.0], "why", 1.25), "machine", "versions")
    assert results.cells(busy, None)[-1] == "NOT QUIET: others kept 1.2 processors busy. why"
    over = results.cells(row, Limit(5, 2.5, "difference"))
    assert over[3:6] == ["+5.0 s", "5 s", "2.5 s"]
    assert not results.kept(row, Limit(0.9, 0.5))
    assert results.kept(row, Limit(5, 2.5, "difference"))


def test_the_readme_shows_what_was_measured() -> None:
    document = __main__.DOCUMENT.read_text(encoding="utf-8")
    assert document == __main__.with_table(document), (
        "`python -m benchmarks.speed --table` writes it"
    )
    assert "<!-- speed: begin -->\n\n| What |" in document
    with pytest.raises(ValueError, match="<!-- speed: begin -->"):
        __main__.with_table("a document without marks")


def test_every_row_of_the_csv_has_a_place_in_the_table() -> None:
    assert {row["what"] for row in results.read()} <= set(LIMITS)


# what is measured


def test_more_images_are_the_same_ones_again(tmp_path: Path) -> None:
    images, labels = tiny_images(7, seed=1)
    for role, array in {"train_images": images, "train_labels": labels}.items():
        (tmp_path / f"{role}.idx").write_bytes(idx(array))
    repeat_images(tmp_path, tmp_path / "more", 3)
    more = read_idx(tmp_path / "more/train_images.idx")
    np.testing.assert_array_equal(more, np.concatenate([images] * 3))
    more = read_idx(tmp_path / "more/train_labels.idx")
    np.testing.assert_array_equal(more, np.tile(labels, 3))


def test_the_toy_pipeline_has_nothing_left_to_do(tmp_path: Path) -> None:
    toy = toy_pipeline.make(tmp_path / "toy")
    assert (toy.folder / "output.txt").read_text(encoding="utf-8") == "one line\n"
    printed = [line for _, line in toy.run("dvc", "repro").lines]
    assert "Data and pipelines are up to date.\n" in printed


def test_stages_are_called_as_the_pipeline_calls_them() -> None:
    pipeline = read_yaml(ROOT / "dvc.yaml")
    for stage, paths in STAGE_PATHS.items():
        expected = " ".join([*STAGE_COMMAND, stage, *paths])
        command = pipeline["stages"][stage]["cmd"]  # type: ignore[index]
        assert command.replace("${dataset}", "mnist") == expected


@pytest.fixture
def clone(fresh_project: Project, tmp_path: Path) -> Clone:
    """A clone of one's own with the tiny data set, nothing run."""
    project = fresh_project.copy(tmp_path / "a clone")
    return Clone(project.folder, project.environment)


def test_values_of_a_clone_are_set_and_unknown_ones_refused(clone: Clone) -> None:
    clone.edit({"train.epochs": 7, "model.mlp.dropout": [0.1, 0.1]})
    assert clone.params()["train"]["epochs"] == 7
    assert clone.params()["model"]["mlp"]["dropout"] == [0.1, 0.1]
    with pytest.raises(KeyError, match=r"no train\.epohcs"):
        clone.edit({"train.epohcs": 7})


# what nothing else runs


def imports_of_ours(path: Path) -> Iterator[tuple[str, str]]:
    """Each name that a file imports from a module of the project, with the module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (ROOT / str(node.module).split(".")[0]).is_dir():
            yield from ((str(node.module), alias.name) for alias in node.names)


def names_in(module: str) -> set[str]:
    """What the module has at its top level, and the modules of a package; nothing is imported."""
    path = ROOT.joinpath(*module.split("."))
    names = {file.stem for file in path.glob("*.py")} if path.is_dir() else set()
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                names.add(part.id)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
    return names


def test_names_that_are_imported_from_the_project_are_there() -> None:
    """Some of these files need PyTorch or a cluster, so that no test runs them."""
    imported = {
        (str(path.relative_to(ROOT)), *names)
        for path in (ROOT / "benchmarks").rglob("*.py")
        for names in imports_of_ours(path)
    }
    assert len(imported) > 50
    assert [(p, m, name) for p, m, name in sorted(imported) if name not in names_in(m)] == []
