"""tools.report: a review's page, the model card, their pictures, and the workflow's steps."""

import json
import re
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Project

from stages.run.hashes import md5_of_file


def report(project: Project, *words: str, code: int = 0) -> str:
    output = project.call("tools.report", *words, code=code)
    assert "Traceback" not in output
    return output


def pictures_of(page: str) -> list[str]:
    return re.findall(r"!\[[^]]*\]\(([^)]+)\)", page)


def assert_pictures_lie_beside(page: Path) -> None:
    names = pictures_of(page.read_text(encoding="utf-8"))
    assert names
    assert all((page.parent / name).read_bytes().startswith(b"\x89PNG") for name in names)


def review(project: Project) -> str:
    """The page that a review writes; its pictures lie beside it."""
    report(project)
    page = project.folder / "report/report.md"
    assert_pictures_lie_beside(page)
    return page.read_text(encoding="utf-8")


def test_a_review_says_what_differs_and_what_it_did(edited_project: Project) -> None:
    text = review(edited_project)
    accuracy = json.loads(edited_project.read("reports/validation.json"))["accuracy"]
    assert (
        "Always answering the largest class of the training images is right on 0.3333 of the "
        f"validation images, the network on {accuracy}.\n"
    ) in text
    assert re.search(r"\| params.yaml \| train.learning_rate \| 0.001 +\| 0.02 +\|", text)
    assert re.search(r"\| reports/validation.json \| accuracy +\|", text)
    assert "95 % interval" in text
    assert "changes.png" in pictures_of(text)


def test_a_review_says_how_the_data_differ(project: Project) -> None:
    project.edit({"preprocess.validation_fraction": 0.4})
    project.dvc("repro", "--quiet")
    text = review(project)
    assert "Moved: 12 from train to validation." in text
    assert "Compared on the 12 that both have" in text
    assert re.search(r"^\| train \| 48 \| 36 \| 0 \| 12 \|$", text, re.MULTILINE)
    assert "data_changes.png" in pictures_of(text)


def test_a_review_of_models_that_cannot_be_compared(project: Project) -> None:
    """Three validation images: too few. What differs in data, params and metrics is said."""
    project.edit({"preprocess.validation_fraction": 0.05})
    project.dvc("repro", "--quiet")
    text = review(project)
    assert "**The models cannot be compared: expected 4 validation images or more" in text
    assert "Moved: 9 from validation to train." in text
    assert "| params.yaml | preprocess.validation_fraction | 0.2 | 0.05 |" in text
    assert pictures_of(text)[0] == "data_changes.png"


def test_a_review_of_no_change_says_so(project: Project) -> None:
    report(project)
    text = project.read("report/report.md")
    assert "## Parameters\n\nNone differs.\n\n## Metrics\n\nNone differs.\n" in text
    assert "The predictions of A and B are the same, bit for bit." in text


def test_the_card_is_about_the_workspace(project: Project) -> None:
    report(project, "--card", "--folder", "a card")
    page = project.folder / "a card/model_card.md"
    text = page.read_text(encoding="utf-8")
    test = json.loads(project.read("reports/test.json"))
    assert f"| accuracy | {test['accuracy']} | {test['accuracy_low']} to" in text
    assert "| baseline accuracy | 0.3333 | always the training images' largest class |" in text
    assert f"is right on 0.3333 of the test images, the network on {test['accuracy']}. On" in text
    assert "On the test images (30), the network is no better than always answering the" in text
    assert "Tiny bars" in text
    for name in ("models/classifier/model.onnx", "models/model.keras"):
        path = project.folder / name
        assert f"| `{name}` | {path.stat().st_size:,} | `{md5_of_file(path)}` |" in text
    assert "It takes grey images of 12 x 10 pixels" in text
    assert "| train.batch_size | 16 |" in text
    assert "| train.augmentation.flip | False |" in text
    assert_pictures_lie_beside(page)


def test_a_page_without_the_training_labels_says_so(project: Project) -> None:
    (project.folder / "data/processed/y_train.npy").unlink()
    for words, page, split in (
        ((), "report.md", "validation"),
        (("--card",), "model_card.md", "test"),
    ):
        report(project, *words)
        assert (
            f"Not compared with the largest class on the {split} images: workspace: "
            "data/processed/y_train.npy: missing. `dvc pull"
        ) in project.read(f"report/{page}")


def test_a_card_of_older_results_is_refused(project: Project) -> None:
    project.edit({"train.batch_size": 8})
    output = report(project, "--card", code=1)
    assert "the results in dvc.lock are older than these edits: train.batch_size" in output


def test_a_review_of_a_model_trained_on_all_images_quotes_test_images(
    refitted_project: Project,
) -> None:
    report(refitted_project)
    text = refitted_project.read("report/report.md")
    assert "Trained on the validation images as well" in text
    assert " test images" in text


@pytest.mark.parametrize("path", ["models/layers.txt", "reports/figures/training_curves.png"])
def test_files_of_another_run_are_refused(project: Project, path: str) -> None:
    (project.folder / path).write_text("of another run", encoding="utf-8")
    for words in ((), ("--card",)):
        output = report(project, *words, code=1)
        assert f"{path}: not what dvc.lock says: `dvc checkout --force {path}`" in output


def test_figures_that_are_older_than_an_edit_are_refused(project: Project) -> None:
    project.edit({"plots.confused_pairs": 2})
    output = report(project, "--card", code=1)
    assert "older than these edits: plots.confused_pairs" in output


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (
            "reports/figures/confused_pairs.png",
            "confused_pairs.png: missing from the workspace: `dvc checkout`",
        ),
        ("reports/test.json", "test.json: missing from the workspace"),
    ],
)
def test_what_is_missing_is_named(project: Project, missing: str, message: str) -> None:
    (project.folder / missing).unlink()
    output = report(project, "--card", code=1)
    assert message in output
    assert "Traceback" not in output


def test_the_workflow_reports_the_head_against_the_base(edited_project: Project) -> None:
    """Its steps but for the set-up, as they stand in the file, on commits of this project."""
    project = edited_project
    base = project.git("rev-parse", "HEAD").strip()
    project.commit("An edit")
    head = project.git("rev-parse", "HEAD").strip()
    text = (ROOT / ".github/workflows/review.yml").read_text(encoding="utf-8")
    for part, commit in (("base", base), ("head", head)):
        text = text.replace(f"${{{{ github.event.pull_request.{part}.sha }}}}", commit)
    steps = {step.get("name"): step for step in yaml.safe_load(text)["jobs"]["report"]["steps"]}
    variables, summary = project.folder.parent / "variables", project.folder.parent / "summary"
    project.environment |= {"GITHUB_ENV": str(variables), "GITHUB_STEP_SUMMARY": str(summary)}
    for name in ("Results of the base", "Results of the head", "Report"):
        if variables.exists():
            pairs = variables.read_text(encoding="utf-8").split()
            project.environment |= dict(pair.split("=", 1) for pair in pairs)
        project.run("bash", "-e", "-c", steps[name]["run"])
    assert "train.learning_rate" in summary.read_text(encoding="utf-8")
    assert (project.folder / "report/model_card.md").exists()
