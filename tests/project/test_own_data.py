"""People's own images, from tools.dataset to the score: as a user goes."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Project, tiny_images
from PIL import Image

NAMES = ["blue", "green", "red"]


def draw_pictures(folder: Path, count: int, seed: int) -> Path:
    """PNGs in colour of several sizes, a folder for each of three classes."""
    random = np.random.default_rng(seed)
    for channel, name in enumerate(reversed(NAMES)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            height, width = random.integers(12, 20, 2)
            pixels = random.integers(0, 120, (height, width, 3), dtype=np.uint8)
            pixels[..., channel] += 120
            Image.fromarray(pixels).save(folder / name / f"{seed} {number}.png")
    return folder


def set_dataset(project: Project, name: str, split: str) -> None:
    project.edit({"dataset": name, "preprocess.split": split})


@pytest.fixture
def clone(fresh_project: Project, tmp_path: Path) -> Project:
    return fresh_project.copy(tmp_path / "a clone")


def accuracy(project: Project) -> float:
    return float(json.loads(project.read("reports/test.json"))["accuracy"])


def test_a_folder_in_colour_goes_from_one_command_to_its_score(
    clone: Project, tmp_path: Path
) -> None:
    source = draw_pictures(tmp_path / "pictures", 20, seed=1)
    output = clone.call("tools.dataset", "colours", str(source), "--size", "12")
    assert "`dvc add data/colours/images` done" in output
    status = clone.git("status", "--porcelain", "--untracked-files=all", "data").splitlines()
    assert sorted(line.split("/")[-1] for line in status) == [
        ".gitignore", "corrections.csv", "dataset.yaml", "images.dvc",
    ]  # fmt: skip
    clone.commit("Colours")
    set_dataset(clone, "colours", "stratified")
    clone.edit({"train.epochs": 20, "train.learning_rate": 0.02, "model.name": "cnn"})
    clone.dvc("repro")
    assert np.load(clone.folder / "data/processed/x_test.npy").shape == (12, 12, 12, 3)
    assert accuracy(clone) > 0.6  # by chance it is a third
    clone.commit("Scores")
    assert "didn't change, skipping" in clone.dvc("repro")
    clone.call("tools.report", "--card")
    card = clone.read("report/model_card.md")
    assert "images in colour of 12 x 12 pixels as uint8 (count, height, width, 3)" in card
    assert "| images | | |" in card

    # More images and a second look; what a temporary experiment gets is tracked by DVC.
    draw_pictures(clone.folder / "data/colours/images", 5, seed=2)
    refused = clone.dvc("repro", "fetch", code=None)
    assert "expected 60 images as dataset.yaml says, found 75" in refused
    assert "count: 60 becomes 75" in clone.call("tools.dataset", "colours")
    assert "packed 75 images" in clone.dvc("repro", "fetch")
    clone.commit("More colours")
    clone.dvc("exp", "run", "--temp", "--set-param", "preprocess.split_seed=3", "preprocess")


def test_untracked_images_are_missed_in_a_temporary_experiment(
    clone: Project, tmp_path: Path
) -> None:
    source = draw_pictures(tmp_path / "pictures", 5, seed=1)
    clone.call("tools.dataset", "colours", str(source), "--untracked")
    status = clone.git("status", "--porcelain", "--untracked-files=all", "data")
    assert "png" not in status
    clone.commit("Colours")
    set_dataset(clone, "colours", "stratified")
    assert "packed 15 images" in clone.dvc("repro", "fetch")
    refused = clone.dvc("exp", "run", "--temp", "--force", "fetch", code=None)
    assert "lacks untracked" in refused


def test_npz_goes_to_its_score(clone: Project, tmp_path: Path) -> None:
    arrays = {}
    for seed, split in enumerate(("train", "val", "test")):
        images, labels = tiny_images(60, seed)
        arrays |= {f"{split}_images": images, f"{split}_labels": labels[:, None]}
    np.savez_compressed(tmp_path / "bars.npz", **arrays)
    clone.call("tools.dataset", "bars", str(tmp_path / "bars.npz"), "--size", "12x10")
    set_dataset(clone, "bars", "tail")
    clone.edit({"train.epochs": 20, "train.learning_rate": 0.02, "model.name": "cnn"})
    clone.dvc("repro", "evaluate")
    written = np.load(clone.folder / "data/processed/x_validation.npy")
    assert np.array_equal(written, arrays["val_images"])  # unchanged
    assert accuracy(clone) > 0.6


def test_what_dvc_imports_gets_its_dataset_yaml(clone: Project, tmp_path: Path) -> None:
    source = draw_pictures(tmp_path / "pictures", 5, seed=1)
    (clone.folder / "data/far").mkdir()
    clone.dvc("import-url", str(source), "data/far/images")
    assert "tracks it as an import" in clone.call("tools.dataset", "far")
    clone.commit("Imported")
    set_dataset(clone, "far", "stratified")
    assert "packed 15 images" in clone.dvc("repro", "fetch")
    draw_pictures(source, 2, seed=2)
    clone.dvc("update", "data/far/images.dvc")
    output = clone.call("tools.dataset", "far")
    assert "count: 15 becomes 21" in output
    assert "`dvc update data/far/images.dvc`" in output
    assert "frozen: true" in clone.read("data/far/images.dvc")  # still an import
    assert "packed 21 images" in clone.dvc("repro", "fetch")


def test_what_another_repository_shares_is_imported(clone: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "other", clone.environment)
    draw_pictures(other.folder / "pictures", 5, seed=1)
    other.git("init", "--quiet")
    other.dvc("init", "--quiet")
    other.dvc("add", "--quiet", "pictures")
    other.commit("Pictures")
    (clone.folder / "data/shared").mkdir()
    clone.dvc("import", str(other.folder), "pictures", "--out", "data/shared/images")
    clone.call("tools.dataset", "shared")
    set_dataset(clone, "shared", "stratified")
    assert "packed 15 images" in clone.dvc("repro", "fetch")


def test_links_into_dvcs_cache_are_followed(clone: Project, tmp_path: Path) -> None:
    clone.dvc("config", "--local", "cache.type", "symlink")
    source = draw_pictures(tmp_path / "pictures", 5, seed=1)
    clone.call("tools.dataset", "colours", str(source))
    assert next(clone.folder.glob("data/colours/images/*/*.png")).is_symlink()
    set_dataset(clone, "colours", "stratified")
    assert "packed 15 images" in clone.dvc("repro", "fetch")
    assert "nothing to change" in clone.call("tools.dataset", "colours")
