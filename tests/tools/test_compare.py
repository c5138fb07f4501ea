"""python -m tools.compare as a user runs it, and its pages about models made up here."""

import dataclasses
import hashlib
import io
import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import yaml
from conftest import CLASSES, FINISHED_EDIT, Project, seconds_of_children
from matplotlib.text import Text

from stages.evaluate import calibration, class_scores
from stages.plots.names import draw_as_written
from stages.shared import scores
from stages.shared.errors import UserError
from tools.compare.__main__ import parse_arguments
from tools.compare.figure import draw_changes, order_changes
from tools.compare.groups import compare_groups
from tools.compare.metrics import METRICS
from tools.compare.page import Page, as_json, as_markdown, print_page, shorten_values
from tools.compare.pair import compare_pair
from tools.compare.verdicts import BETTER, SAME, WORSE
from tools.shared.predictions import Predictions
from tools.shared.revisions import Revision

SECONDS = 3.0
PROBABILITIES = "reports/probabilities_validation.npy"
DIFFERING = {"train.epochs": [1, 4], "train.learning_rate": [0.001, 0.02]}  # HEAD's, workspace's


# --- Pages about models made up here ------------------------------------------------------------


def revision(name: str, **params: object) -> Revision:
    shared = {"seed": 0, "train.epochs": 20, "dataset": "tiny", "dataset.yaml:classes": CLASSES}
    made = {PROBABILITIES: name, "data/processed/x_validation.npy": "x"}
    code = {"stages/train": f"{'0' * 32}.dir"}
    return Revision(name, "c" * 40, shared | params, code, made, [], 500_000)


def model(labels: np.ndarray, wrong: np.ndarray, sure: float = 0.9) -> np.ndarray:
    """Probabilities (images, 3) that take the images `wrong` for the next class."""
    predicted = labels.astype(int)
    predicted[wrong] = (predicted[wrong] + 1) % len(CLASSES)
    probabilities = np.full((len(labels), len(CLASSES)), (1 - sure) / 2, np.float32)
    probabilities[np.arange(len(labels)), predicted] = sure
    return probabilities


LABELS = (np.arange(3_000) % 3).astype(np.uint8)
GOOD = model(LABELS, np.arange(30, 60))  # 30 images wrong
BAD = model(LABELS, np.arange(90))  # the same and 60 more, 20 of each class


def pair(a: np.ndarray, b: np.ndarray, **params: object) -> Page:
    return compare_pair(
        Predictions([revision("a"), revision("b", **params)], [a, b], LABELS), "validation"
    )


def test_fewer_errors_are_better_whichever_way_a_metric_points() -> None:
    page = pair(BAD, GOOD, **{"train.epochs": 30})
    assert page.verdict == BETTER
    assert page.answer[0].startswith("B is better than A: accuracy 0.9700 -> 0.9900, +0.0200, 95 %")
    assert "60 images fixed, 0 broken" in page.answer[1]
    assert {row["metric"]: row["verdict"] for row in page.data["metrics"][:3]} == {
        "accuracy": BETTER, "balanced_accuracy": BETTER, "loss": BETTER,
    }  # fmt: skip
    assert page.data["params"] == {"train.epochs": [20, 30]}


def test_the_interval_is_that_of_paired_images() -> None:
    """60 discordant images; images drawn apart for A and B would make it 1.4 times wider."""
    row = pair(BAD, GOOD).data["metrics"][0]
    deviation = np.sqrt(60 - 60**2 / 3_000) / 3_000
    assert row["high"] - row["low"] == pytest.approx(2 * 1.96 * deviation, rel=0.1)


def test_the_other_way_round_it_is_worse() -> None:
    page = pair(GOOD, BAD)
    assert [row["verdict"] for row in page.data["metrics"][:3]] == [WORSE] * 3
    assert [row["verdict"] for row in page.data["classes"]] == [WORSE] * 3
    assert "Classes that moved by more than chance: left (worse), middle" in page.answer[2]


def test_a_few_images_are_no_evidence() -> None:
    page = pair(GOOD, model(LABELS, np.arange(27, 60)))
    assert page.verdict == SAME
    p_of_score = 0.0833  # Tango's, of three broken and none fixed: z = 3 / sqrt(3)
    assert page.data["metrics"][0]["p"] == pytest.approx(p_of_score, abs=5e-5)
    assert page.answer[0].startswith("There is no evidence of a difference")
    assert page.answer[2] == "No single class moved by more than chance would move it."


def test_recall_by_class_says_what_moved() -> None:
    """The images of one class alone are taken for another: only that one is reported."""
    left = np.flatnonzero(LABELS == 0)
    row, *others = pair(GOOD, model(LABELS, np.r_[30:60, left[100:150]])).data["classes"]
    assert (row["class"], row["images"], row["fixed"], row["broken"]) == ("left", 1000, 0, 50)
    assert (row["a"], row["b"], row["verdict"]) == (0.99, 0.94, WORSE)
    assert row["largest_change"] == {"taken_for": "middle", "a": 10, "b": 60}
    assert [other["verdict"] for other in others] == [SAME, SAME]
    assert [other["largest_change"] for other in others] == [None, None]


def test_the_number_of_classes_is_corrected_for() -> None:
    """Six images broken and none fixed: p = 0.031 for a class alone, 0.094 for one of three."""
    left = np.flatnonzero(LABELS == 0)
    row = pair(GOOD, model(LABELS, np.r_[30:60, left[100:106]])).data["classes"][0]
    assert row["p"] == pytest.approx(3 * 2 / 2**6)
    assert row["verdict"] == SAME


def test_only_the_seed_or_nothing_at_all_differs() -> None:
    assert any("Only the seed differs" in note for note in pair(GOOD, BAD, seed=1).notes)
    assert any("other versions of the libraries" in note for note in pair(GOOD, BAD).notes)
    assert not any("seed differs" in n for n in pair(GOOD, BAD, **{"train.epochs": 1}).notes)


def test_a_pair_says_that_it_is_about_two_models() -> None:
    assert "two trained models; another seed" in pair(GOOD, BAD).notes[0]


def test_metrics_are_those_of_the_stages() -> None:
    """On unsure random predictions, where every bin and class has something in it."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 500).astype(np.uint8)
    probabilities = random.dirichlet([0.6, 0.5, 0.4], 500).astype(np.float32)
    of_stages = {
        "accuracy": scores.accuracy,
        "balanced_accuracy": lambda p, y: class_scores.balanced_accuracy(
            class_scores.confusion_counts(p, y)
        ),
        "loss": scores.loss,
        "macro_f1": lambda p, y: class_scores.macro_f1(class_scores.confusion_counts(p, y)),
        "calibration_error": calibration.calibration_error,
    }
    assert [metric.name for metric in METRICS] == list(of_stages)
    for metric in METRICS:
        expected = of_stages[metric.name](probabilities, labels)
        value = metric.value(metric.columns(probabilities, labels).mean(axis=0))
        assert value == pytest.approx(expected, abs=6e-5), metric.name


def test_balanced_accuracy_counts_each_class_alike() -> None:
    """Of 1,000, 100 and 10 images: all of the smallest class wrong costs a third, not a hundredth.

    A draw of images may leave out the class of one image; then the others make the mean.
    """
    labels = np.repeat([0, 1, 2], [1_000, 100, 10]).astype(np.uint8)
    rows = compare_pair(
        Predictions(
            [revision("a"), revision("b")],
            [model(labels, np.arange(0)), model(labels, np.arange(1_100, 1_110))],
            labels,
        ),
        "validation",
    ).data["metrics"]
    accuracy, balanced = rows[:2]
    assert (balanced["metric"], balanced["verdict"]) == ("balanced_accuracy", WORSE)
    assert accuracy["difference"] == pytest.approx(-10 / 1_110)
    assert balanced["difference"] == pytest.approx(-1 / 3)
    rare = np.array([[0.5, 0, 0, 0.5, 0, 0, 0.5, 0, 0], [0.4, 0, 0, 0.5, 0, 0, 0.5, 0.5, 0]])
    assert METRICS[1].value(rare).tolist() == pytest.approx([1, 0.4])


def test_images_that_changed_most_come_first() -> None:
    sure, unsure = model(LABELS, np.arange(30), sure=0.9), model(LABELS, np.arange(30), sure=0.5)
    mixed = np.where((np.arange(len(LABELS)) < 10)[:, None], unsure, sure)
    none = model(LABELS, np.arange(0))
    fixed, broken = order_changes(Predictions([], [mixed, none], LABELS))
    assert list(fixed) == [*range(10, 30), *range(10)]
    assert len(broken) == 0


@pytest.mark.parametrize("verdicts", [(GOOD, BAD), (GOOD, model(LABELS, np.arange(27, 60)))])
def test_a_page_fits_into_eighty_characters(
    verdicts: tuple[np.ndarray, np.ndarray],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    wide = {"dataset.yaml:files.test_images.sha256": "0" * 64}
    print_page(pair(*verdicts, **wide, **{"train.epochs": 30}))
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines())) <= 80
    assert "…" not in output
    assert re.search(r"^train\.epochs +20 +30$", output, re.MULTILINE)


def test_a_page_of_groups_fits_into_eighty_characters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    page = groups([90, 93, 87], [30, 33, 27], **{"train.epochs": 30})
    print_page(page)
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines())) <= 80
    assert re.search(r"^a2 +A +2 +(0\.\d{4} +){4}0\.\d{4}$", output, re.MULTILINE)
    assert "| run | group | seed | accuracy | balanced accuracy | loss |" in as_markdown(page)


def test_values_are_shortened_only_if_that_tells_them_apart() -> None:
    a, b = [1] * 40, [2] * 40
    assert [len(text) <= 40 for text in shorten_values(a, b)] == [True, True]
    assert shorten_values(a, [*a, 2]) == [json.dumps(a), json.dumps([*a, 2])]
    assert shorten_values("0" * 64, "1" * 64) == ["0" * 64, "1" * 64]


def groups(a: list[int], b: list[int], **params: object) -> Page:
    """Groups of runs with so many errors each; the second one with other params."""
    probabilities = [model(LABELS, np.arange(errors)) for errors in [*a, *b]]
    runs = [revision(f"a{seed}", seed=seed) for seed in range(len(a))]
    runs += [revision(f"b{seed}", seed=seed, **params) for seed in range(len(b))]
    return compare_groups(Predictions(runs, probabilities, LABELS), len(a), "validation")


def test_groups_speak_of_recipes() -> None:
    page = groups([90, 93, 87], [30, 33, 27], **{"train.epochs": 30})
    accuracy = page.data["metrics"][0]
    assert page.answer[0].startswith("Recipe B is better than recipe A: mean accuracy 0.9700 -> ")
    assert (accuracy["a"], accuracy["b"]) == (pytest.approx(0.97), pytest.approx(0.99))
    assert accuracy["a_deviation"] == pytest.approx(0.001)
    assert page.data["params"] == {"train.epochs": [20, 30]}
    assert [run["seed"] for run in page.data["runs"]] == [0, 1, 2, 0, 1, 2]


def test_groups_whose_seeds_spread_widely_are_no_evidence() -> None:
    assert groups([90, 30, 60], [30, 63, 87], **{"train.epochs": 30}).verdict == SAME


def test_groups_without_a_spread_cannot_be_tested() -> None:
    page = groups([30, 30], [60, 60], **{"train.epochs": 30})
    assert page.verdict == SAME
    assert any("without a spread" in note for note in page.notes)
    assert json.loads(as_json(page))["metrics"][0]["p"] is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"train.epochs": 30}, "a0 and a1 differ in train.epochs: 20 and 30"),
        ({"seed": 0}, "a seed of its own for each run, found [0, 0]"),
    ],
)
def test_groups_of_a_mixture_are_refused(changes: dict[str, object], expected: str) -> None:
    runs = [revision("a0"), revision("a1", **{"seed": 1} | changes)]
    runs += [revision("b0"), revision("b1", seed=1)]
    with pytest.raises(UserError, match=re.escape(expected)):
        compare_groups(Predictions(runs, [GOOD] * 4, LABELS), 2, "validation")


def test_groups_of_other_code_or_of_one_run_are_refused() -> None:
    runs = [revision(name, seed=seed) for seed, name in enumerate(["a0", "a1", "b0", "b1"])]
    edited = dataclasses.replace(runs[1], code={"stages/train": f"{'1' * 32}.dir"})
    for listed, size, expected in [
        ([runs[0], edited, *runs[2:]], 2, "differ in stages/train"),
        (runs, 1, "found a0 alone"),
        ([*runs[:3], dataclasses.replace(runs[3], made=runs[0].made)], 2, "they are one run"),
        ([*runs[:2], runs[0], runs[2]], 2, "they are one run"),
    ]:
        with pytest.raises(UserError, match=expected):
            compare_groups(Predictions(listed, [GOOD] * 4, LABELS), size, "validation")


def test_markdown_has_whole_tables() -> None:
    tables = re.findall(r"(?:^\|.*\n)+", as_markdown(pair(GOOD, BAD, seed=1)), re.MULTILINE)
    assert len(tables) == 3
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1


HOSTILE = ["[red]a|b[/red]", "<unk> # *x*", "`$5` \\"]


def test_names_are_text_in_markdown() -> None:
    page = as_markdown(pair(GOOD, BAD, **{"dataset.yaml:classes": HOSTILE, "seed": 1}))
    assert HOSTILE != CLASSES  # so the table of what differs shows them
    for escaped in (r"\[red]a\|b\[/red]", r"&lt;unk&gt; \# \*x\*"):
        assert escaped in page
    tables = re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE)
    for table in tables:
        cells = [re.split(r"(?<!\\)\|", line) for line in table.splitlines()]
        assert len({len(line) for line in cells}) == 1


def test_names_are_text_in_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    runs = [revision(name, **{"dataset.yaml:classes": HOSTILE}) for name in ("a", "b")]
    print_page(compare_pair(Predictions(runs, [GOOD, BAD], LABELS), "validation"))
    output = capsys.readouterr().out
    for name in HOSTILE:
        assert re.search(rf"^{re.escape(name)} +1,000 ", output, re.MULTILINE)


def test_names_are_text_in_the_figure() -> None:
    names = ["$x_2^$", "$5", "a name that is much longer than an image is wide"]
    runs = [revision(name, **{"dataset.yaml:classes": names}) for name in ("$_", "b" * 200)]
    images = np.zeros((len(LABELS), 4, 4), np.uint8)
    with mpl.rc_context():
        draw_as_written(names)
        figure = draw_changes(Predictions(runs, [GOOD, BAD], LABELS), images, "validation")
        figure.savefig(io.BytesIO(), dpi=20)
        assert not any(text.get_parse_math() for text in figure.findobj(Text))


@pytest.mark.parametrize("colour", [False, True])
def test_the_figure_shows_the_common_images_in_their_colours(colour: bool) -> None:
    images = np.random.default_rng(0).integers(0, 256, (len(LABELS), 4, 4, 3), dtype=np.uint8)
    images = images if colour else images[..., 0]
    runs = [revision("a"), revision("b")]
    figure = draw_changes(Predictions(runs, [GOOD, BAD], LABELS), images, "validation")
    shown = [image for axes in figure.findobj(mpl.axes.Axes) for image in axes.get_images()]
    assert len(shown) == 16
    assert np.array_equal(shown[0].get_array(), images[0])


# --- The command, in a project with real runs ----------------------------------------------------


@pytest.fixture(scope="module")
def compared(finished_edit: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A commit, an experiment of it, an edited workspace: real runs. Tags of forged commits."""
    folder = tmp_path_factory.mktemp("compared")
    project = finished_edit.copy(folder / "a clone")
    project.git("checkout", "--quiet", "--", ".")
    project.dvc("remote", "add", "--quiet", "--default", "store", str(folder / "store"))
    project.commit("A remote")
    project.git("tag", "first")
    forge(project, "longer-0", epochs=2, seed=0)
    forge(project, "longer-1", epochs=2, seed=1)
    forge(project, "elsewhere", split="stratified")
    forge_flat(project, "flat")
    labels = np.load(project.folder / "data/processed/y_validation.npy")
    for tag, seed, wrong in [
        ("right-0", 0, 0),
        ("right-1", 1, 1),
        ("bad-0", 0, 12),
        ("bad-1", 1, 11),
    ]:
        epochs = 3 if tag.startswith("bad") else 1
        forge(project, tag, epochs=epochs, seed=seed, array=model(labels, np.arange(wrong)))
    project.dvc("exp", "run", "--quiet", "--name", "plain-1", "-S", "seed=1", "train")
    project.git("checkout", "--quiet", "--", ".")
    project.edit(FINISHED_EDIT)
    project.dvc("repro", "--quiet")  # from the run cache
    return project


def forge(
    project: Project,
    tag: str,
    epochs: int = 1,
    seed: int = 0,
    split: str = "tail",
    array: np.ndarray | None = None,
) -> None:
    """A tagged commit with other params and made-up predictions: it costs no training."""
    project.edit({"train.epochs": epochs, "seed": seed, "preprocess.split": split})
    if array is None:
        array = np.random.default_rng(seed).dirichlet([1, 1, 1], 12).astype(np.float32)
    md5s = {PROBABILITIES: cache_array(project, array)}
    if split != "tail":
        md5s |= {f"data/processed/{array}_validation.npy": array * 32 for array in "xy"}
    changes = [(project.md5_of(path, "HEAD"), md5) for path, md5 in md5s.items()]
    # In dvc.lock, and in the record of the metrics.
    for before, separator in [(r"^ +", ": "), ('"value (preprocess|train)?[.]?', " = ")]:
        for key, value in [("epochs", epochs), ("seed", seed), ("split", split)]:
            changes.append((rf'({before}{key}{separator}(?:\\")?)\w+', rf"\g<1>{value}"))
    for path in ("dvc.lock", "reports/data.json", "reports/validation.json"):
        text = project.read(path)
        for old, new in changes:
            text = re.sub(old, new, text, flags=re.MULTILINE)
        (project.folder / path).write_text(text, encoding="utf-8")
    commit_and_leave(project, tag)


def cache_array(project: Project, array: np.ndarray) -> str:
    """Put an array into DVC's cache; its MD5."""
    file = io.BytesIO()
    np.save(file, array)
    md5 = hashlib.md5(file.getvalue(), usedforsecurity=False).hexdigest()
    cached = project.cached(md5)
    cached.parent.mkdir(exist_ok=True)
    cached.write_bytes(file.getvalue())
    return md5


def forge_data(project: Project, tag: str, arrays: dict[str, np.ndarray]) -> None:
    """A tagged commit whose preprocess made these arrays, by name such as x_train."""
    lock = project.read("dvc.lock")
    for name, array in arrays.items():
        before = project.md5_of(f"data/processed/{name}.npy", "HEAD")
        lock = lock.replace(before, cache_array(project, array))
    (project.folder / "dvc.lock").write_text(lock, encoding="utf-8")
    commit_and_leave(project, tag)


def arrays_of(project: Project) -> dict[str, np.ndarray]:
    return {path.stem: np.load(path) for path in project.folder.glob("data/processed/?_*.npy")}


def commit_and_leave(project: Project, tag: str) -> None:
    project.commit(tag)
    project.git("tag", tag)
    project.git("reset", "--quiet", "--hard", "HEAD~1")


def forge_flat(project: Project, tag: str) -> None:
    """A tagged commit as older versions left it: a file a stage, all data sets in a catalog."""
    dataset = project.folder / "data/tiny/dataset.yaml"
    catalog = {"tiny": yaml.safe_load(dataset.read_text(encoding="utf-8"))}
    (project.folder / "data/catalog.yaml").write_text(yaml.safe_dump(catalog), encoding="utf-8")
    dataset.unlink()
    lock = yaml.safe_load(project.read("dvc.lock"))
    for name, stage in lock["stages"].items():
        code = f"# {name}\n"
        (project.folder / f"stages/{name}.py").write_text(code, encoding="utf-8")
        md5 = hashlib.md5(code.encode(), usedforsecurity=False).hexdigest()
        own = ("stages/", "data/tiny")
        others = [dep for dep in stage["deps"] if not dep["path"].startswith(own)]
        stage["deps"] = [{"path": f"stages/{name}.py", "hash": "md5", "md5": md5}, *others]
        if values := stage["params"].pop("data/tiny/dataset.yaml", None):
            stage["params"]["data/catalog.yaml"] = {f"tiny.{k}": v for k, v in values.items()}
    (project.folder / "dvc.lock").write_text(yaml.safe_dump(lock), encoding="utf-8")
    for path in project.folder.glob("reports/*.json"):
        values = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(values, dict):
            values.pop("made_from", None)
            path.write_text(json.dumps(values), encoding="utf-8")
    commit_and_leave(project, tag)


@pytest.fixture
def own(compared: Project, tmp_path: Path) -> Project:
    """The same, to change."""
    return compared.copy(tmp_path / "a clone")


def compare(project: Project, *arguments: str, code: int = 0) -> str:
    output = project.call("tools.compare", *arguments, code=code)
    assert "Traceback" not in output
    assert "Warning" not in output
    return output


def measure_comparison(project: Project, *words: str) -> tuple[str, set[str], float]:
    """What a comparison in a process of its own prints, the modules that it imports, and its
    processor time in seconds, Git's included."""
    code = (
        f"import runpy, sys; sys.argv = {['compare', *words]};"
        "runpy.run_module('tools.compare', run_name='__main__');"
        "print('imported:', *sys.modules, file=sys.stderr)"
    )
    before = seconds_of_children()
    done = subprocess.run(
        ["python", "-c", code], cwd=project.folder, env=project.environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    used = seconds_of_children() - before
    return done.stdout, set(done.stderr.partition("imported: ")[2].split()), used


def compare_json(project: Project, *arguments: str) -> Any:
    return json.loads(compare(project, *arguments, "--json"))


def cache_file(project: Project, commit: str, path: str) -> Path:
    return project.cached(project.md5_of(path, commit))


def commit_of(project: Project, name: str) -> str:
    return project.git("for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{name}").strip()


@pytest.mark.parametrize("split", ["validation", "test"])
def test_head_against_workspace(compared: Project, split: str) -> None:
    """The values are those of Git and of the workspace, the counts those of the arrays."""
    page = compare_json(compared, "--split", split)
    before = json.loads(compared.git("show", f"HEAD:reports/{split}.json"))
    now = json.loads(compared.read(f"reports/{split}.json"))
    assert page["params"] == DIFFERING
    for row in page["metrics"]:
        if row["metric"] in now:
            assert round(row["a"], 4) == before[row["metric"]]
            assert round(row["b"], 4) == now[row["metric"]]
    path = f"reports/probabilities_{split}.npy"
    a, b = (np.load(cache_file(compared, "HEAD", path)), np.load(compared.folder / path))
    labels = np.load(compared.folder / f"data/processed/y_{split}.npy")
    a_right, b_right = (p.argmax(axis=1) == labels for p in (a, b))
    assert page["images"] == len(labels)
    assert page["fixed"] == (b_right & ~a_right).sum()
    assert page["broken"] == (a_right & ~b_right).sum()
    assert [row["class"] for row in page["classes"]] == CLASSES
    assert any("choose by validation" in note for note in page["notes"]) == (split == "test")


def test_tags_hashes_and_experiments(compared: Project) -> None:
    page = compare_json(compared, "first", "plain-1")
    assert page["params"] == {"seed": [0, 1]}
    head = compared.git("rev-parse", "HEAD").strip()
    assert page["a"] == {"name": "first", "commit": head}
    assert page["b"]["commit"] == commit_of(compared, "plain-1")
    by_hash = compare_json(compared, head[:8], page["b"]["commit"])
    assert by_hash["metrics"] == page["metrics"]


def test_the_same_predictions_are_called_that(compared: Project) -> None:
    output = compare(compared, "HEAD", "first")
    assert "the same, bit for bit" in output
    assert "Scores" not in output


def test_groups_by_pattern(compared: Project) -> None:
    output = compare(compared, "--group", "HEAD", "plain-*", "--group", "longer-0", "longer-1")
    assert re.search(r"^train\.epochs +1 +2$", output, re.MULTILINE)
    assert re.search(r"^plain-1 +A +1 ", output, re.MULTILINE)
    assert "standard deviation" in output
    mixed = compare(
        compared, "--group", "longer-0", "plain-1", "--group", "HEAD", "longer-1", code=1
    )
    assert "longer-0 and plain-1 differ in train.epochs: 2 and 1" in mixed
    nothing = compare(compared, "--group", "none-*", "--group", "HEAD", "plain-1", code=1)
    assert "none-*: expected experiments of such names" in nothing


def test_other_images_that_are_not_here_are_asked_for(compared: Project) -> None:
    paths = "data/processed/x_validation.npy data/processed/y_validation.npy"
    for words in ((), ("--data",)):
        output = compare(compared, "HEAD", "elsewhere", *words, code=1)
        assert f"`dvc pull --all-commits {paths}` fetches it" in output


def test_fail_on_worse(compared: Project) -> None:
    """1 for worse alone: neither for better, nor for no evidence, nor for an error."""
    words = ("--fail-on", "worse")
    output = compare(compared, "right-0", "bad-0", *words, code=1)
    assert "B is worse than A: accuracy 1.0000 -> 0.0000" in output
    compare(compared, "right-0", "bad-0")
    assert "B is better than A" in compare(compared, "bad-0", "right-0", *words)
    assert "no evidence of a difference" in compare(compared, "right-0", "right-1", *words)
    compare(compared, "right-0", "right-0", *words)
    assert "nope: expected a Git revision" in compare(compared, "right-0", "nope", *words, code=2)
    groups = ["--group", "right-0", "right-1", "--group", "bad-0", "bad-1"]
    assert "is worse than recipe A" in compare(compared, *groups, *words, code=1)
    compare(compared, *groups[3:], *groups[:3], *words)
    assert "found bad-0 alone" in compare(compared, *groups[:-1], *words, code=2)


def test_a_bug_is_not_taken_for_worse(compared: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.compare.pair.class_rows", None)
    output = compared.call("tools.compare", "right-0", "bad-0", "--fail-on", "worse", code=2)
    assert "TypeError: 'NoneType' object is not callable" in output
    with pytest.raises(TypeError):
        compared.call("tools.compare", "right-0", "bad-0")


def test_validation_images_that_were_trained_on_judge_nothing(refitted_project: Project) -> None:
    output = compare(refitted_project, code=1)
    assert "compare: workspace: expected validation images that were held out" in output
    assert "train.refit: true" in output
    compare(refitted_project, "--split", "test")


def test_an_unknown_name(compared: Project) -> None:
    output = compare(compared, "nope", code=1)
    assert "nope: expected a Git revision" in output
    assert "The experiments here: plain-1." in output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--group a b", "expected --group exactly twice"),
        ("--group a b --group c d --figure f.png", "expected --group exactly twice"),
        ("x --group a b --group c d", "expected --group exactly twice"),
        ("--figure figure.pdf", "expected a name that ends with .png, found figure.pdf"),
        ("--md --json", "not allowed with"),
        ("--data --split test", "expected --data without --group, --split and --fail-on"),
        ("--data --group a b --group c d", "expected --data without --group"),
        ("--data --fail-on worse", "expected --data without --group, --split and --fail-on"),
        ("--fail-on better", "invalid choice: 'better'"),
    ],
)
def test_wrong_usage(words: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse_arguments(words.split())
    assert expected in capsys.readouterr().err


def test_the_figure(own: Project) -> None:
    markdown = compare(own, "--md", "--figure", "new/figure.png")
    assert "![Images fixed and broken](new/figure.png)" in markdown
    content = (own.folder / "new/figure.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    width, height = (int.from_bytes(content[i : i + 4]) for i in (16, 20))
    assert width > height > 400
    assert [file.name for file in (own.folder / "new").iterdir()] == ["figure.png"]


def test_an_edited_workspace_needs_a_repro(own: Project) -> None:
    own.edit({"train.epochs": 5})
    output = compare(own, code=1)
    assert "older than these edits: train.epochs. `dvc repro`" in output
    own.edit(FINISHED_EDIT | {"plots.resolution": 50})
    compare(own)  # nothing that the predictions depend on
    with (own.folder / "stages/train/fitting.py").open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    assert "these edits: stages/train. `dvc repro`" in compare(own, code=1)


def test_other_images_than_those_predicted_on_need_a_repro(own: Project) -> None:
    own.edit({"preprocess.split": "stratified"})
    own.dvc("repro", "--quiet", "preprocess")
    assert "data/processed/x_validation.npy" in compare(own, code=1)


def test_outputs_that_are_not_those_of_the_lock(own: Project) -> None:
    path = own.folder / PROBABILITIES
    array = np.load(path)
    path.unlink()
    assert f"{PROBABILITIES}: missing. `dvc pull {PROBABILITIES}`" in compare(own, code=1)
    np.save(path, array[::-1])
    output = compare(own, code=1)
    assert f"workspace: {PROBABILITIES}: expected MD5" in output
    assert "`dvc repro`" in output


def test_a_commit_older_than_its_params_is_marked(own: Project) -> None:
    own.edit({"train.epochs": 9})
    own.git("commit", "--quiet", "--message", "Params without their results", "params.yaml")
    own.edit(FINISHED_EDIT)
    page = compare_json(own)
    assert any("results are older than train.epochs" in note for note in page["notes"])
    assert page["params"] == DIFFERING


def test_a_commit_of_an_older_version_is_compared(compared: Project) -> None:
    page = compare_json(compared, "flat", "HEAD")
    assert page["answer"] == ["The predictions of A and B are the same, bit for bit."]
    assert page["params"] == {}
    assert {"stages/train.py", "stages/train"} <= {*page["code"]}
    assert not page["notes"]
    page = compare_json(compared, "flat", "workspace", "--split", "test")
    assert page["params"] == DIFFERING
    assert [row["class"] for row in page["classes"]] == CLASSES


def test_a_commit_without_results(own: Project) -> None:
    output = compare(own, "first~2", code=1)
    assert f"first~2: expected {PROBABILITIES} in dvc.lock, found none" in output


@pytest.mark.parametrize("damage", ["<<<<<<< HEAD\n", "date: 2001-99-99\n"])
def test_a_damaged_lock(own: Project, damage: str) -> None:
    with (own.folder / "dvc.lock").open("a", encoding="utf-8") as file:
        file.write(damage)
    assert "workspace: dvc.lock is not readable as YAML" in compare(own, code=1)


def test_the_named_command_brings_missing_predictions(own: Project, tmp_path: Path) -> None:
    """Of a commit, an experiment, and a commit whose own config names no remote."""
    own.git("init", "--quiet", "--bare", str(tmp_path / "bare.git"))
    own.git("remote", "add", "upstream", str(tmp_path / "bare.git"))
    own.git("push", "--quiet", "upstream", "main")
    own.dvc("push", "--all-commits", PROBABILITIES, "data/processed/y_validation.npy")
    own.dvc("exp", "push", "upstream", "plain-1")
    for name, command in [
        ("HEAD", f"dvc pull --all-commits {PROBABILITIES}"),
        ("plain-1", "dvc exp pull upstream plain-1"),
    ]:
        cache_file(own, commit_of(own, name) or name, PROBABILITIES).unlink()
        output = compare(own, "HEAD", "plain-1", code=1)
        assert f"{PROBABILITIES}: not in DVC's cache. `{command}` fetches" in output
        own.run(*shlex.split(command))
        compare(own, "HEAD", "plain-1")


def test_missing_predictions_of_a_commit_without_a_remote(own: Project, tmp_path: Path) -> None:
    own.git("checkout", "--quiet", "--force", "first~1")
    own.dvc("checkout", "--quiet", "--force")
    own.dvc("remote", "add", "--quiet", "--local", "--default", "mine", str(tmp_path / "mine"))
    own.dvc("push", PROBABILITIES)
    cache_file(own, "first~1", PROBABILITIES).unlink()
    output = compare(own, "first~1", code=1)
    command = re.search(r"`(git checkout \w+ && dvc pull .+ && git checkout -)`", output)
    assert command
    own.git("checkout", "--quiet", "longer-0")
    own.run("sh", "-c", command[1])
    compare(own, "first~1", "longer-0")
    assert own.git("rev-parse", "HEAD") == own.git("rev-parse", "longer-0")


def test_a_damaged_cache_is_noticed(own: Project) -> None:
    file = cache_file(own, "HEAD", PROBABILITIES)
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    output = compare(own, code=1)
    assert "expected MD5" in output
    assert f"Delete {file.relative_to(own.folder)}" in output


def test_a_cache_elsewhere(own: Project, tmp_path: Path) -> None:
    (own.folder / ".dvc/cache").rename(tmp_path / "shared")
    own.dvc("cache", "dir", "--local", str(tmp_path / "shared"))
    compare(own)


def test_it_is_quick_and_imports_only_what_it_needs(compared: Project) -> None:
    _, imported, used = measure_comparison(compared, "--json")
    assert not imported & {"tensorflow", "keras", "dvc", "matplotlib", "sklearn", "pandas"}
    assert "tools.compare.pair" in imported
    assert used < SECONDS


# --- Other data -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def changed(finished_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A commit with other data than the workspace, which holds out twice as many images."""
    project = finished_project.copy(tmp_path_factory.mktemp("changed") / "a clone")
    project.git("tag", "first")
    arrays = arrays_of(project)
    x, y = arrays["x_train"], arrays["y_train"].copy()
    y[:3] = (y[:3] + 1) % 3
    forge_data(project, "flipped", {"y_train": y})
    forge_data(project, "fewer", {"x_train": x[5:], "y_train": arrays["y_train"][5:]})
    rgb = {name: np.stack(3 * [a], -1) for name, a in arrays.items() if name[0] == "x"}
    forge_data(project, "coloured", rgb)
    project.edit({"preprocess.validation_fraction": 0.4})
    project.dvc("repro", "--quiet", "evaluate")
    return project


def test_the_data_alone(changed: Project) -> None:
    page = compare_json(changed, "first", "flipped", "--data")
    assert page["verdict"] is None
    assert (page["data"]["relabelled"], page["data"]["unchanged"]) == (3, 87)
    rows = [(change["a"]["row"], change["b"]["row"]) for change in page["data"]["changes"]]
    assert rows == [(0, 0), (1, 1), (2, 2)]
    output = compare(changed, "first", "fewer", "--data")
    assert "Of the 90 images of A, 85 are unchanged in B, 5 removed; none was added." in output
    assert "Scores" not in output
    assert (
        "Every image was read anew: 12 x 10 pixels in grey in A, 12 x 10 pixels in colour"
        in " ".join(compare(changed, "first", "coloured", "--data").split())
    )
    same = compare(changed, "first", "HEAD", "--data")
    assert "The data of A and B are the same, bit for bit." in same


def test_the_data_of_a_revision_without_predictions(changed: Project, tmp_path: Path) -> None:
    own = changed.copy(tmp_path / "a clone")
    own.git("checkout", "--quiet", "--force", "first")
    own.edit({"preprocess.split": "stratified"})
    own.dvc("repro", "--quiet", "preprocess")
    assert "data/processed/x_train.npy" in compare(own, code=1)
    markdown = compare(own, "--data", "--md", "--figure", "data.png")
    assert "| preprocess.split | tail | stratified |" in markdown
    assert re.search(r"^Moved: \d+ from train to validation, \d+ from validation", markdown, re.M)
    assert "![Changes of the data](data.png)" in markdown
    assert (own.folder / "data.png").read_bytes().startswith(b"\x89PNG")
    same = compare(own, "first", "first", "--data", "--figure", "none.png")
    assert "There is no image to draw, so none.png was not written." in same
    assert not (own.folder / "none.png").exists()


def test_models_on_other_images_are_compared_on_common_ones(changed: Project) -> None:
    """A holds out the last 12 of 60 images, B the last 24: A was trained on the other 12."""
    page = compare_json(changed)
    assert page["images"] == 12
    assert page["common"]["images"] == [12, 24]
    assert [of_side["trained_on"] for of_side in page["common"]["left_out"]] == [0, 12]
    compared, left_out = page["answer"][1:3]
    assert compared == (
        "The validation images differ (A 12 and B 24). Compared on the 12 that both have, with "
        "the same label, and that neither was trained on."
    )
    assert left_out == "Left out: of B, 12 that a model was trained on."
    assert page["data"]["moved_pairs"] == [{"a": "train", "b": "validation", "images": 12}]
    labels = np.load(changed.folder / "data/processed/y_validation.npy")[12:]
    a = np.load(cache_file(changed, "HEAD", PROBABILITIES))
    b = np.load(changed.folder / PROBABILITIES)[12:]
    right = [(p.argmax(axis=1) == labels).mean() for p in (a, b)]
    assert [page["metrics"][0][side] for side in "ab"] == pytest.approx(right)
    assert compare_json(changed, "--split", "test").get("common") is None


def test_the_figures_of_other_data(changed: Project, tmp_path: Path) -> None:
    own = changed.copy(tmp_path / "a clone")
    output = compare(own, "--figure", "new/changes.png")
    assert "Figure: new/changes.png" in output
    assert "Figure: new/changes_data.png" in output
    for name in ("changes", "changes_data"):
        assert (own.folder / f"new/{name}.png").read_bytes().startswith(b"\x89PNG")


def test_too_few_common_images(changed: Project, tmp_path: Path) -> None:
    own = changed.copy(tmp_path / "a clone")
    own.git("commit", "--quiet", "--all", "--message", "Twice as many")
    own.edit({"preprocess.validation_fraction": 0.05})
    own.dvc("repro", "--quiet", "train")
    output = compare(own, code=1)
    assert "expected 4 validation images or more that all have in common" in output
    assert "found 3:" in output
    assert "workspace: 3 images; left out: none" in output
    assert re.search(r"HEAD \(\w{7}\): 24 images; left out: 21 that a model was trained on", output)


def test_scores_are_compared_without_the_arrays_of_other_data(
    changed: Project, tmp_path: Path
) -> None:
    """The test images agree, so how the data differ is no reason to end."""
    own = changed.copy(tmp_path / "a clone")
    cache_file(own, "HEAD", "data/processed/x_train.npy").unlink()
    page = compare_json(own, "--split", "test")
    (note,) = [note for note in page["notes"] if note.startswith("The data differ.")]
    assert re.search(r"`git checkout \w{7} && dvc pull data/processed/x_train.npy && git", note)
    assert "data" not in page
    assert "dvc pull data/processed/x_train.npy" in compare(own, "--data", code=1)


def test_a_difference_in_data_makes_a_group_a_mixture(changed: Project) -> None:
    names = ("first", "HEAD")
    runs = [revision(name, seed=seed) for seed, name in enumerate([*names, "c", "d"])]
    other = dataclasses.replace(runs[1], made=runs[1].made | {"data/processed/x_train.npy": "z"})
    with pytest.raises(UserError, match=r"first and HEAD differ in data/processed/x_train\.npy"):
        compare_groups(Predictions([runs[0], other, *runs[2:]], [GOOD] * 4, LABELS), 2, "test")


def test_the_data_of_sixty_thousand_images_take_three_seconds(
    changed: Project, tmp_path: Path
) -> None:
    """Processor time of the whole process and of Git; no TensorFlow, SciPy or matplotlib."""
    own = changed.copy(tmp_path / "a clone")
    own.git("checkout", "--quiet", "--force", "first")
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (48_000, 28, 28), dtype=np.uint8)
    y = random.integers(0, 3, len(x)).astype(np.uint8)
    held_out = {name: x[:6_000] ^ flip for name, flip in (("x_validation", 1), ("x_test", 2))}
    labels = {"y_validation": y[:6_000], "y_test": y[:6_000]}
    forge_data(own, "large", {"x_train": x, "y_train": y, **held_out, **labels})
    order = random.permutation(len(x))[:47_000]
    flipped = y[order]
    flipped[:500] = (flipped[:500] + 1) % 3
    forge_data(own, "larger", {"x_train": x[order], "y_train": flipped, **held_out, **labels})
    page, imported, used = measure_comparison(own, "large", "larger", "--data", "--json")
    data = json.loads(page)["data"]
    assert (data["relabelled"], data["removed"], data["added"]) == (500, 1_000, 0)
    assert not imported & {"tensorflow", "keras", "dvc", "matplotlib", "scipy", "pandas"}
    assert used < SECONDS
