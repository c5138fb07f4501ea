"""The classifier's two files: read, checked, and what is said when they are not right."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from classifiers import (
    DOUBTFUL,
    IMAGES,
    LABELS,
    THRESHOLD,
    classifier_folder,
    description,
    png,
    write_classifier,
)
from conftest import CLASSES, ROOT, SHAPE

from serving.classifier import Answer, open_classifier
from stages.shared.errors import UserError
from stages.shared.image_reading import BadImageError

__all__ = ["classifier_folder"]  # a fixture


def test_images_are_read_and_answered(classifier_folder: Path) -> None:
    classifier = open_classifier(classifier_folder)
    assert (classifier.classes, classifier.shape) == (CLASSES, SHAPE)
    images = np.stack([classifier.read(png(image)) for image in IMAGES])
    np.testing.assert_array_equal(images, IMAGES)
    probabilities = classifier.predict(images)
    answers = classifier.answers(probabilities, THRESHOLD)
    assert [answer.name for answer in answers] == [CLASSES[label] for label in LABELS]
    np.testing.assert_allclose([each.probability for each in answers], probabilities.max(axis=1))
    second = np.sort(probabilities, axis=1)[:, -2]
    np.testing.assert_allclose([each.runner_up_probability for each in answers], second)
    assert not any(answer.unsure or answer.name == answer.runner_up for answer in answers)


def test_an_answer_below_the_threshold_is_unsure(classifier_folder: Path) -> None:
    classifier = open_classifier(classifier_folder)
    third = pytest.approx(1 / 3)
    probabilities = classifier.predict(DOUBTFUL[np.newaxis])
    for threshold, unsure in [(THRESHOLD, True), (0.3, False), (None, False)]:
        expected = Answer(CLASSES[0], third, CLASSES[1], third, unsure)
        assert classifier.answers(probabilities, threshold) == [expected]


def test_colour_has_a_third_axis(tmp_path: Path) -> None:
    images = {"height": 12, "width": 10, "colour": "rgb", "fit": "pad", "background": [0, 0, 0]}
    classifier = open_classifier(write_classifier(tmp_path, channels=3, images=images))
    assert classifier.shape == (*SHAPE, 3)
    image = classifier.read(png(np.stack([IMAGES[1]] * 3, axis=-1)))
    (answer,) = classifier.answers(classifier.predict(image[np.newaxis]), None)
    assert answer.name == CLASSES[LABELS[1]]


def test_what_is_no_image_is_refused(classifier_folder: Path) -> None:
    classifier = open_classifier(classifier_folder)
    for content in (b"", b"no image", png(IMAGES[0])[:60]):
        with pytest.raises(BadImageError):
            classifier.read(content)


@pytest.mark.parametrize("name", ["model.onnx", "model.json"])
def test_a_missing_file_is_named_with_the_cure(tmp_path: Path, name: str) -> None:
    (write_classifier(tmp_path) / name).unlink()
    with pytest.raises(UserError, match=rf"{name} is missing: `dvc repro` .* `dvc pull`"):
        open_classifier(tmp_path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "expected JSON"),
        ("[]", "expected an object, found list"),
        (json.dumps(description(classes="abc")), "expected classes as list, found \"abc\""),
        (json.dumps(description(classes=["one"])), "expected two classes or more"),
        (json.dumps(description(images={"height": 12})), "expected width as int, found none"),
        (json.dumps(description(threshold="0.5")), "expected threshold as int or float or"),
        (json.dumps(description(classes=["a", "b"])), "knows 3 classes, but .* and 2 classes"),
        (
            json.dumps(description(images=description()["images"] | {"height": 13})),  # type: ignore[operator]
            r"takes images \(12, 10\) .* describes images \(13, 10\)",
        ),
    ],
)  # fmt: skip
def test_a_damaged_description_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    write_classifier(tmp_path)
    (tmp_path / "model.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=complaint):
        open_classifier(tmp_path)


def test_it_needs_three_packages_alone(classifier_folder: Path) -> None:
    """Nothing of the pipeline's, whose import takes seconds or a gigabyte."""
    code = (
        "import sys; from pathlib import Path; from serving.classifier import open_classifier;"
        f"open_classifier(Path({str(classifier_folder)!r}));"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert {"onnxruntime", "numpy", "PIL"} <= loaded
    heavy = {"dvc", "keras", "matplotlib", "onnx", "pydantic", "rich", "ruamel", "scipy", "sklearn",
             "tensorflow", "yaml", "fastapi", "uvicorn"}  # fmt: skip
    assert loaded & heavy == set()
