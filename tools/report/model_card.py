"""The model card: what someone who is handed the model has to know, from the workspace's files."""

from typing import Any

from stages.plots.reports import read_json
from stages.run.keys import flatten
from stages.run.params import PARAMS, Dataset, read_sections
from stages.run.yaml_files import read_yaml
from tools.shared.baseline import describe_baseline
from tools.shared.lists import name_some
from tools.shared.markdown import escape, format_code
from tools.shared.paths import (
    CONFUSION,
    COUNTS,
    KERAS_MODEL,
    LAYERS,
    METRIC_FILES,
    MODEL,
    PROCESSED,
)

MOST_PAIRS = 5  # of confused classes
MOST_NAMES = 30  # classes named in a sentence


def write_card(made: dict[str, str]) -> str:
    """The card as Markdown; `made` has the MD5 by path of the workspace's results."""
    sections = read_sections()
    dataset: Dataset = sections["dataset"]
    test, validation = read_json(METRIC_FILES["test"]), read_json(METRIC_FILES["validation"])
    counts = read_json(COUNTS)
    layers = LAYERS.read_text(encoding="utf-8").strip()
    parts = [
        f"# Model card: {sections['model'].name} for {escape(dataset.title)}",
        (
            f"It takes {describe_images(dataset)} and gives a probability for each class. ONNX "
            f"Runtime runs `{MODEL}`, the file that is scored and shipped; plain Keras opens "
            f"`{KERAS_MODEL}`, the same network: `keras.saving.load_model`."
        ),
        format_model_files(made),
        "## Results",
        format_results(test, validation),
        describe_baseline("test"),
        "## Most confused",
        format_confused(read_json(CONFUSION), dataset.classes),
        "![Confusion matrix](confusion_matrix.png)",
        "## Data",
        format_data(dataset, made),
        "## Network and values",
        format_code(layers),
        *(f"Begins with {line}." for line in validation.get("weights", [])),
        format_values(),
        "## Known limits",
        format_limits(dataset, test, counts),
        "## How to make it again",
        (
            "Check out the commit of this card and run `make`: the CPU being of the same type, the "
            f"bytes are the same. `dvc pull {MODEL}` brings the file itself, where a remote is set."
        ),
    ]
    return "\n\n".join(parts)


def format_model_files(made: dict[str, str]) -> str:
    rows = [
        f"| `{path}` | {path.stat().st_size:,} | `{made[str(path)]}` |"
        for path in (MODEL, KERAS_MODEL)
    ]
    return "\n".join(["| file | bytes | MD5 |", "|:--|--:|:--|", *rows])


def format_results(test: dict[str, Any], validation: dict[str, Any]) -> str:
    interval = f"{test['accuracy_low']} to {test['accuracy_high']} (95 %, Wilson)"
    rows = [
        ("accuracy", "accuracy", interval),
        ("baseline accuracy", "baseline_accuracy", "always the training images' largest class"),
        ("accuracy by corrected labels", "accuracy_trusted", "without those dropped"),
        ("balanced accuracy", "balanced_accuracy", "mean recall of the classes"),
        ("wrongly classified", "error_count", "images"),
        ("cross-entropy loss", "loss", "nats"),
        ("macro F1 score", "macro_f1", ""),
        ("expected calibration error", "calibration_error", "15 bins"),
    ]
    lines = [f"| {words} | {test[name]} | {note} |" for words, name, note in rows]
    heading = ["| test images | value | |", "|:--|--:|:--|"]
    return "\n".join([*heading, *lines, "", describe_validation(validation)])


def describe_validation(validation: dict[str, Any]) -> str:
    if "accuracy" not in validation:
        return "The validation images were trained on as well (train.refit): they have no score."
    return (
        f"On the validation images, which decide between models: accuracy "
        f"{validation['accuracy']}, loss {validation['loss']}."
    )


def format_confused(rows: list[dict[str, Any]], classes: list[str]) -> str:
    """The pairs of classes confused most often on the test images."""
    # The file's names are the page's; its first rows are those of each class with itself.
    name_of = {row["actual"]: name for row, name in zip(rows, classes, strict=False)}
    wrong = [row for row in rows[len(classes) :] if row["actual"] is not None]
    most = sorted(wrong, key=lambda row: -row["count"])[:MOST_PAIRS]
    lines = []
    for row in most:
        actual, predicted = name_of[row["actual"]], name_of[row["predicted"]]
        lines.append(f"- {escape(f'{actual} as {predicted}')}: {row['count']} times")
    return "\n".join(lines) or "Every test image was rightly classified."


def format_data(dataset: Dataset, made: dict[str, str]) -> str:
    files = [format_file(file) for file in vars(dataset.files).values()]
    arrays = [f"`{path}` {md5}" for path, md5 in made.items() if path.startswith(f"{PROCESSED}/")]
    return "\n".join(
        [
            escape(f"{dataset.title}. Licence: {dataset.licence}. {dataset.citation}"),
            "",
            "| file | bytes | SHA-256 |",
            "|:--|--:|:--|",
            *files,
            "",
            "Made from them (MD5): " + ", ".join(arrays) + ".",
        ]
    )


def format_file(file: Any) -> str:
    """A row for a published file; one's own files have neither size nor hash in dataset.yaml."""
    if hasattr(file, "sha256"):
        return f"| {file.name} | {file.size:,} | `{file.sha256}` |"
    return f"| {escape(file.name)} | | |"


def describe_images(dataset: Dataset) -> str:
    images = dataset.images
    size = f"{images.height} x {images.width} pixels"
    if images.colour == "rgb":
        return f"images in colour of {size} as uint8 (count, height, width, 3)"
    return f"grey images of {size} as uint8 (count, height, width)"


def format_values() -> str:
    """The values of params.yaml that made the model; of the networks only the chosen one's."""
    values: Any = read_yaml(PARAMS)
    network = f"model.{values['model']['name']}"
    keys = flatten("", {name: values[name] for name in ("seed", "preprocess", "train", "model")})
    chosen = {k: v for k, v in keys.items() if not k.startswith("model.") or k.startswith(network)}
    rows = [f"| {key} | {value} |" for key, value in chosen.items()]
    return "\n".join(["| value | |", "|:--|:--|", *rows])


def format_limits(dataset: Dataset, test: dict[str, Any], counts: dict[str, Any]) -> str:
    title, classes = escape(dataset.title), escape(name_some(dataset.classes, MOST_NAMES))
    off = f"{test['calibration_error']:.1%}"
    return f"""\
- It gives one of its {len(dataset.classes)} classes ({classes}) to any image, even to one that
  shows something else.
- Images have to look like those of {title}: same size, centring and contrast. It was not
  tried on others.
- {counts["corrected_test_labels"]} test labels are known to be wrong: corrections.csv has them.
- Its probabilities are off by {off} on average (calibration error): look at that before you choose
  a threshold.
- The scores are those of one training; another seed gives others."""
