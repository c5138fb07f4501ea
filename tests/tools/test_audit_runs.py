"""The audit as a user runs it, on tiny data sets with wrong labels put in."""

import csv
import hashlib
import json
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from conftest import CLASSES, Project, idx, tiny_dataset, tiny_images
from faults import started

AUDIT = ("python", "-m", "tools.audit")
FEW = ("--folds", "3", "--epochs", "25")
WRONG = {"train": [4, 17, 31], "validation": [2], "test": [5, 20]}
FIRST = {"train": 0, "validation": 48, "test": 60}  # of the images in the files
DROPPED = hashlib.sha256(tiny_images(30, seed=2)[0][0].tobytes()).hexdigest()
COPIES = {8: 11, 9: 52}  # test images that are, with another brightness, images of the others


def wrong_labels(labels: np.ndarray, splits: tuple[str, ...]) -> np.ndarray:
    wrong = labels.copy()
    for split in splits:
        rows = np.array(WRONG[split]) + FIRST[split]
        wrong[rows] = (wrong[rows] + 1) % len(CLASSES)
    return wrong


def make_project(fresh: Project, folder: Path, splits: tuple[str, ...]) -> Project:
    """A project whose labels of these splits are partly wrong, its data fetched."""
    parts = [tiny_images(60, seed=1), tiny_images(30, seed=2)]
    images = np.concatenate([part[0] for part in parts])
    for test_image, other in COPIES.items():
        images[60 + test_image] = images[other] // 2 + 9
    labels = np.concatenate([part[1] for part in parts])
    for test_image, other in COPIES.items():
        labels[60 + test_image] = labels[other]
    given = wrong_labels(labels, splits)
    files = {
        "train_images": idx(images[:60]), "train_labels": idx(given[:60]),
        "test_images": idx(images[60:]), "test_labels": idx(given[60:]),
    }  # fmt: skip
    project = fresh.copy(folder / "clone")
    source = folder / "source"
    source.mkdir(parents=True)
    for role, content in files.items():
        (source / f"tiny-{role}").write_bytes(content)
    project.environment["DATASET_FOLDER"] = str(source)
    project.write_dataset("tiny", tiny_dataset(files, sources=[]))
    project.dvc("repro", "preprocess")
    project.commit("A data set with wrong labels")
    return project


@pytest.fixture(scope="module")
def audited_so_far(fresh_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = make_project(fresh_project, tmp_path_factory.mktemp("wrong"), tuple(WRONG))
    project.output = project.run(*AUDIT, *FEW)
    return project


@pytest.fixture
def audited(audited_so_far: Project, tmp_path: Path) -> Project:
    project = audited_so_far.copy(tmp_path / "clone")
    project.output = audited_so_far.output
    return project


def read_rows(project: Project, name: str) -> list[dict[str, str]]:
    with (project.folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def data_of(project: Project, name: str = "audit/suspects.html") -> dict:
    return json.loads(re.findall(r'id="data">(.*?)</script>', project.read(name), re.S)[0])


def places(rows: list[dict[str, str]], count: int) -> set[tuple[str, int]]:
    return {(row["split"], int(row["index"])) for row in rows[:count]}


def wrong_places(*splits: str) -> set[tuple[str, int]]:
    return {(split, index) for split in splits for index in WRONG[split]}


def test_wrong_labels_come_first_with_the_right_suggestion(audited: Project):
    rows = read_rows(audited, "audit/suspects.csv")
    assert places(rows, 4) == wrong_places("train", "validation")
    images, labels = tiny_images(60, seed=1)
    for rank, row in enumerate(rows[:4], start=1):
        number = FIRST[row["split"]] + int(row["index"])
        assert row["rank"] == str(rank)
        assert row["image"] == hashlib.sha256(images[number].tobytes()).hexdigest()
        assert row["suggested"] == CLASSES[labels[number]]
        assert row["given"] == CLASSES[(labels[number] + 1) % len(CLASSES)]
        assert float(row["p_given"]) < 0.5 < float(row["p_suggested"])
    assert "test" not in {row["split"] for row in rows}
    assert not (audited.folder / "audit/test_suspects.csv").exists()
    assert audited.git("status", "--porcelain") == ""


def test_the_cost_comes_first_and_progress_after_it(audited: Project):
    output = audited.output
    cost = output.index("To train: 3 networks, 75 epochs in all, 3,000 images")
    estimate = re.search(r"about [\d,]+ s to go for 73 epochs of kind light", output)
    assert estimate
    assert cost < output.index("Network 1 of 3") < estimate.start() < output.index("Network 3 of 3")


def test_the_page_has_what_the_table_has(audited: Project):
    data, rows = data_of(audited), read_rows(audited, "audit/suspects.csv")
    for suspect, row in zip(data["suspects"], rows, strict=True):
        for key in ("image", "split", "given", "suggested"):
            assert suspect[key] == row[key]
        shares = dict(suspect["probabilities"])
        assert shares[row["given"]] == pytest.approx(float(row["p_given"]), abs=1e-4)
        assert suspect["png"].startswith("data:image/png;base64,")
    assert data["pixels"] is True
    assert len(data["pairs"]) == len(COPIES)


def test_near_duplicates_across_splits_are_listed(audited: Project):
    rows = read_rows(audited, "audit/near_duplicates.csv")
    found = {(row["split"], int(row["index"])): (row["like_split"], int(row["like_index"]))
             for row in rows}  # fmt: skip
    assert found == {("test", 8): ("train", 11), ("test", 9): ("validation", 4)}
    assert "2 near-duplicates across splits" in audited.output


def test_the_same_audit_again_trains_nothing_and_gives_the_same(audited: Project):
    before = {path.name: path.read_bytes() for path in (audited.folder / "audit").iterdir()}
    output = audited.call("tools.audit", *FEW)
    assert "To train" not in output
    after = {path.name: path.read_bytes() for path in (audited.folder / "audit").iterdir()}
    assert after == before
    assert "To train: 3 networks" in audited.run(*AUDIT, "--folds", "3", "--epochs", "1")


def test_accepted_suggestions_are_corrections_that_preprocess_applies(audited: Project):
    output = audited.call("tools.audit", *FEW, "--accept", "4")
    assert "To train" not in output
    assert "data/tiny/corrections.csv: 4 corrections added, 0 were there already" in output
    audited.dvc("repro", "preprocess")
    _, right = tiny_images(60, seed=1)
    for split, part in (("train", right[:48]), ("validation", right[48:])):
        labels = np.load(audited.folder / f"data/processed/y_{split}.npy")
        np.testing.assert_array_equal(labels, part)


def test_suggestions_above_a_probability_are_accepted(audited: Project):
    rows = read_rows(audited, "audit/suspects.csv")
    least = sorted(float(row["p_suggested"]) for row in rows)[-2] - 0.0001
    audited.call("tools.audit", *FEW, "--accept-above", f"{least:.4f}")
    added = read_rows(audited, "data/tiny/corrections.csv")
    above = {row["image"] for row in rows if float(row["p_suggested"]) >= least}
    assert {row["image"] for row in added} - {DROPPED} == above
    assert 2 <= len(above) < len(rows)


def test_test_labels_play_no_part_unless_asked_for(
    audited: Project, fresh_project: Project, tmp_path: Path
):
    other = make_project(fresh_project, tmp_path / "other", ("train", "validation"))
    other.run(*AUDIT, *FEW)
    for name in ("suspects.csv", "suspects.html", "near_duplicates.csv"):
        assert other.read(f"audit/{name}") == audited.read(f"audit/{name}"), name


def test_test_labels_are_judged_by_networks_that_saw_none_of_them(audited: Project):
    audited.call("tools.audit", *FEW, "--accept", "4")
    output = audited.run(*AUDIT, *FEW, "--split", "test")
    assert "60 images to train on, 30 to judge" in output
    rows = read_rows(audited, "audit/test_suspects.csv")
    assert places(rows, 2) == wrong_places("test")
    audited.call("tools.audit", *FEW, "--split", "test", "--accept", "2")
    audited.dvc("repro", "preprocess")
    trusted = np.load(audited.folder / "data/processed/y_test_trusted.npy")
    given = np.load(audited.folder / "data/processed/y_test.npy")
    assert [*np.flatnonzero(trusted != given)] == [0, *WRONG["test"]]
    assert trusted[0] == -1  # as the tiny data set comes
    output = audited.call("tools.audit", *FEW, "--split", "test")
    assert "To train" not in output
    assert "2 have a correction in data/tiny/corrections.csv already" in output
    recorded = [row["corrected"] for row in read_rows(audited, "audit/test_suspects.csv")]
    assert all(recorded[:2])
    assert not any(recorded[2:])


def test_the_pages_corrections_are_applied_and_contradictions_refused(audited: Project):
    rows = read_rows(audited, "audit/suspects.csv")
    file = audited.folder / "decided.csv"

    def write(*lines: list[str]) -> None:
        with file.open("w", encoding="utf-8", newline="") as opened:
            csv.writer(opened).writerows([["image", "old", "new", "reason"], *lines])

    first = [rows[0]["image"], rows[0]["given"], rows[0]["suggested"], "seen"]
    second = [rows[1]["image"], rows[1]["given"], "", "no bar"]
    write(first)
    audited.call("tools.audit", "--apply", "decided.csv")
    write(first, second)
    output = audited.call("tools.audit", "--apply", "decided.csv")
    assert "1 corrections added, 1 were there already, 3 in all" in output
    kept = audited.read("data/tiny/corrections.csv")
    write([*first[:2], "", "dropped"])
    output = audited.call("tools.audit", "--apply", "decided.csv", code=1)
    assert "audit: decided.csv contradicts corrections that are there already" in output
    write(["0" * 64, *first[1:]])
    output = audited.call("tools.audit", "--apply", "decided.csv", code=1)
    assert "no image has this hash" in output
    write([first[0], "nothing", "", ""])
    output = audited.call("tools.audit", "--apply", "decided.csv", code=1)
    assert "expected a class of dataset.yaml, found 'nothing'" in output
    assert audited.read("data/tiny/corrections.csv") == kept
    assert len(read_rows(audited, "data/tiny/corrections.csv")) == 3


def test_an_interrupted_audit_resumes(fresh_project: Project, tmp_path: Path):
    project = make_project(fresh_project, tmp_path, ("train",))
    words = (*AUDIT, "--folds", "2", "--epochs", "40")
    module = project.folder / "stages/train/checkpoints.py"
    code = module.read_text(encoding="utf-8")
    assert "CHECKPOINT_SECONDS = 5.0" in code
    quick = code.replace("CHECKPOINT_SECONDS = 5.0", "CHECKPOINT_SECONDS = 0.0")
    module.write_text(quick, encoding="utf-8")
    with started(project, *words) as run:
        run.until("Network 2 of 2 (light)")
        run.until(
            lambda: list(project.folder.glob(".dvc/tmp/stages/audit/*/*/light_fold_1/epoch-*.npz"))
        )
        output = run.send(signal.SIGINT)
    assert "audit: interrupted; the same command resumes" in output
    assert "Traceback" not in output
    with started(project, *words) as run:
        run.until("An interrupted run left a checkpoint: resuming after epoch")
        run.send(signal.SIGKILL)
    output = project.run(*words)
    assert "To train: 1 network, 40 epochs in all, 1,200 images; 1 network trained before" in output
    found = project.read("audit/suspects.csv")
    whole = make_project(fresh_project, tmp_path / "whole", ("train",))
    (whole.folder / "stages/train/checkpoints.py").write_text(quick, encoding="utf-8")
    whole.run(*words)
    assert whole.read("audit/suspects.csv") == found


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--folds", "1"), "--folds: expected 2 at least"),
        (("--epochs", "0"), "expected a whole number from 1, found 0"),
        (("--accept-above", "2"), "expected a number from 0 to 1, found 2"),
        (("--split", "train"), "invalid choice: 'train'"),
        (("--apply", "none.csv"), "none.csv"),
    ],
)
def test_what_is_asked_for_wrongly_is_refused(fresh_project: Project, words, message):
    output = fresh_project.run(*AUDIT, *words, code=None)
    assert message in output
    assert "Traceback" not in output


def test_without_data_the_command_that_brings_them_is_named(fresh_project: Project):
    output = fresh_project.call("tools.audit", code=1)
    assert "data/raw is missing: `dvc checkout` or `dvc pull` restores it" in output
