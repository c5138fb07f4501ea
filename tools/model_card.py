"""The model card: what someone who is handed the model has to know, from the workspace's files."""

from pathlib import Path
from typing import Any

from stages.files import read_json
from stages.keys import leaves
from stages.params import Dataset, read_sections

LAYERS, REPORTS = Path("models/layers.txt"), Path("reports")
MOST_CONFUSED = 5


def model_card(made: dict[str, str]) -> str:
    """The card as Markdown; `made` has the MD5 by path of the workspace's results."""
    sections = read_sections()
    dataset: Dataset = sections["dataset"]
    test, validation = (read_json(REPORTS / f"{split}.json") for split in ("test", "validation"))
    layers = LAYERS.read_text(encoding="utf-8").strip()
    parts = [
        f"# Model card: {sections['model'].name} for {dataset.title}",
        "`models/model.keras`, MD5 `" + made["models/model.keras"] + "`. It takes grey images as "
        "uint8 (count, height, width) and gives a probability for each class; plain Keras opens "
        "it: `keras.saving.load_model`.",
        "## Results",
        results(test, validation),
        "## Most confused",
        confused(read_json(REPORTS / "confusion.json")),
        "![Confusion matrix](confusion_matrix.png)",
        "## Data",
        data(dataset, made),
        "## Network and parameters",
        f"```\n{layers}\n```",
        parameters(sections),
        "## Known limits",
        limits(dataset, test),
        "## How to make it again",
        (
            "Check out the commit of this card, `make`: the same bytes on the same type of CPU. "
            "`dvc pull models/model.keras` brings the file itself, where a remote is set."
        ),
    ]
    return "\n\n".join(parts)


def results(test: dict[str, Any], validation: dict[str, Any]) -> str:
    rows = [
        (
            "accuracy",
            "accuracy",
            f"{test['accuracy_low']} to {test['accuracy_high']} (95 %, Wilson)",
        ),
        ("accuracy without suspect labels", "accuracy_trusted", ""),
        ("wrongly classified", "error_count", "images"),
        ("cross-entropy loss", "loss", "nats"),
        ("macro F1 score", "macro_f1", ""),
        ("expected calibration error", "calibration_error", "15 bins"),
    ]
    lines = [f"| {words} | {test[name]} | {note} |" for words, name, note in rows]
    return "\n".join(
        [
            "| test images | value | |",
            "|:--|--:|:--|",
            *lines,
            "",
            on_validation(validation),
        ]
    )


def on_validation(validation: dict[str, Any]) -> str:
    if "accuracy" not in validation:
        return "The validation images were trained on, too (train.refit): they have no score."
    return (
        f"On the validation images, by which one chooses: accuracy {validation['accuracy']}, "
        f"loss {validation['loss']}."
    )


def confused(rows: list[dict[str, Any]]) -> str:
    """The pairs of classes that were taken for each other most often, on the test images."""
    wrong = [row for row in rows if row["actual"] != row["predicted"] and row["count"]]
    most = sorted(wrong, key=lambda row: -row["count"])[:MOST_CONFUSED]
    pairs = [f"- {row['actual']} as {row['predicted']}: {row['count']} times" for row in most]
    return "\n".join(pairs) or "No test image was wrongly classified."


def data(dataset: Dataset, made: dict[str, str]) -> str:
    files = [f"| {file.name} | {file.size:,} | `{file.sha256}` |" for _, file in dataset.files]
    arrays = [f"`{path}` {md5}" for path, md5 in made.items() if path.startswith("data/processed")]
    return "\n".join(
        [
            f"{dataset.title}. Licence: {dataset.licence}. {dataset.citation}",
            "",
            "| file | bytes | SHA-256 |",
            "|:--|--:|:--|",
            *files,
            "",
            "Made from them (MD5): " + ", ".join(arrays) + ".",
        ]
    )


def parameters(sections: dict[str, Any]) -> str:
    model = sections["model"]
    chosen = {
        "seed": sections["seed"],
        **leaves("preprocess", sections["preprocess"].model_dump()),
        **leaves("train", sections["train"].model_dump()),
        **leaves(f"model.{model.name}", model.chosen.model_dump()),
    }
    rows = [f"| {key} | {value} |" for key, value in chosen.items()]
    return "\n".join(["| parameter | value |", "|:--|:--|", *rows])


def limits(dataset: Dataset, test: dict[str, Any]) -> str:
    classes = ", ".join(dataset.classes)
    off = f"{test['calibration_error']:.1%}"
    return f"""\
- It gives one of its {len(dataset.classes)} classes ({classes}) to any image, also to one of
  something else.
- Images have to look like those of {dataset.title}: same size, centring and contrast. It was not
  tried on others.
- {len(dataset.suspect_test_labels)} test labels are suspected to be wrong.
- Its probabilities are off by {off} on average (calibration error): look at that before you set a
  threshold by them.
- The scores are one training's; another seed gives others."""
