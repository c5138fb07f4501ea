"""params.yaml and dataset.yaml: what is accepted, and what is said about the rest."""

import copy
import math
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from conftest import ROOT, tiny_dataset, tiny_files
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.run.params import Dataset, Params, read_sections
from stages.run.yaml_files import read_yaml, validate
from stages.shared.errors import UserError

PARAMS = ROOT / "params.yaml"
DATA = ROOT / "data"
DATASETS = sorted(file.parent.name for file in DATA.glob("*/dataset.yaml"))
TEXT = PARAMS.read_text(encoding="utf-8")
VALUES = yaml.safe_load(TEXT)
NETWORKS = [name for name in VALUES["model"] if name != "name"]
MLP, CNN = VALUES["model"]["mlp"], VALUES["model"]["cnn"]


def set_value(values: dict[str, Any], key: str, value: object) -> dict[str, Any]:
    """A copy in which the value at a place such as train.epochs is another."""
    changed, section, last = copy_to_change(values, key)
    section[last] = value
    return changed


def without(values: dict[str, Any], key: str) -> dict[str, Any]:
    changed, section, last = copy_to_change(values, key)
    del section[last]
    return changed


def copy_to_change(values: dict[str, Any], key: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """A copy, and of a place in it such as train.epochs the section and the name in that."""
    changed = copy.deepcopy(values)
    *parents, last = key.split(".")
    section = changed
    for parent in parents:
        section = section[parent]
    return changed, section, last


def write(folder: Path, content: object, name: str = "params.yaml") -> Path:
    """A file with this text, these bytes or these values."""
    if not isinstance(content, str | bytes):
        content = yaml.safe_dump(content)
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(folder: Path, content: object) -> str:
    """What is said about a params.yaml, without the path at its start."""
    path = write(folder, content)
    with pytest.raises(UserError) as caught:
        read_sections(path, DATA)
    message = str(caught.value)
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


def problem(folder: Path, content: object) -> str:
    """The one problem of a params.yaml."""
    first, line = refusal(folder, content).splitlines()
    assert first == " has 1 problem:"
    return line.strip()


def dataset_refusal(folder: Path, content: object) -> str:
    """What is said about a dataset.yaml, without the path at its start."""
    (folder / "tiny").mkdir()
    path = write(folder / "tiny", content, "dataset.yaml")
    params = write(folder, set_value(VALUES, "dataset", "tiny"))
    with pytest.raises(UserError) as caught:
        read_sections(params, folder)
    assert str(caught.value).startswith(str(path))
    return str(caught.value).removeprefix(str(path))


def dataset_with(key: str, value: object) -> dict[str, Any]:
    return set_value(tiny_dataset(tiny_files(), sources=[]), key, value)


def as_values(section: Any) -> Any:
    """What the attributes of a section hold, as the file has it."""
    if isinstance(section, SimpleNamespace):
        return {name: as_values(value) for name, value in vars(section).items()}
    return section


# What the project ships


def test_the_shipped_params_come_through_as_they_are():
    sections = read_sections(PARAMS, DATA)
    assert sections.keys() == VALUES.keys()
    for name in VALUES.keys() - {"dataset"}:
        assert as_values(sections[name]) == VALUES[name]


@pytest.mark.parametrize("name", DATASETS)
def test_each_data_set_of_the_project_can_be_chosen(tmp_path, name):
    path = write(tmp_path, set_value(VALUES, "dataset", name))
    values = yaml.safe_load((DATA / name / "dataset.yaml").read_text(encoding="utf-8"))
    assert as_values(read_sections(path, DATA)["dataset"]) == values | {"folder": name}


def test_a_section_has_no_logic_that_a_stage_could_call():
    """It would decide what is computed, and no stage has stages/run as a dep."""
    sections = read_sections(PARAMS, DATA)
    for name in ("dataset", "train", "model", "preprocess", "plots"):
        assert type(sections[name]) is SimpleNamespace
    assert type(sections["train"].augmentation) is SimpleNamespace
    assert type(sections["model"].mlp) is SimpleNamespace


# Values


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 0),
        ("seed", 2**32 - 1),
        ("train.epochs", 1),
        ("train.batch_size", 65_536),
        ("train.learning_rate", 10),
        ("preprocess.validation_fraction", 0.001),
        ("preprocess.split", "stratified"),
        ("preprocess.split", "random"),
        ("train.schedule", "cosine"),
        ("train.warmup", 19.9),
        ("train.label_smoothing", 0.5),
        ("train.precision", "mixed_bfloat16"),
        ("train.members", 100),
        ("train.refit", True),
        ("train.augmentation.rotation", 180),
        ("train.augmentation.zoom", 0.999),
        ("train.augmentation.flip", True),
        ("model.name", "cnn"),
        ("model.mlp", {"units": [1], "dropout": [0.0], "batch_normalization": True}),
        ("model.mlp", MLP | {"units": [16_384] * 3, "dropout": [0, 0.999, 0.5]}),
        ("model.cnn", CNN | {"filters": [1], "kernels": [31], "strides": [8]}),
        ("plots.resolution", 30),
    ],
)
def test_values_up_to_the_limits_are_accepted(tmp_path, key, value):
    path = write(tmp_path, set_value(VALUES, key, value))
    name, *rest = key.split(".")
    found = as_values(read_sections(path, DATA)[name])
    for part in rest:
        found = found[part]
    assert found == value


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("seed", -1, "greater than or equal to 0"),
        ("seed", 2**32, "less than 4294967296"),
        ("seed", 10**30, "less than 4294967296"),
        ("seed", "5", "valid integer"),
        ("seed", True, "valid integer"),
        ("seed", 1.5, "valid integer"),
        ("seed", 1.0, "valid integer"),
        ("seed", None, "valid integer"),
        ("train.epochs", 0, "greater than or equal to 1"),
        ("train.epochs", 10_001, "less than or equal to 10000"),
        ("train.batch_size", 0, "greater than or equal to 1"),
        ("train.batch_size", 65_537, "less than or equal to 65536"),
        ("train.learning_rate", 0, "greater than 0"),
        ("train.learning_rate", -0.1, "greater than 0"),
        ("train.learning_rate", 10.5, "less than or equal to 10"),
        ("train.learning_rate", math.nan, "finite number"),
        ("train.learning_rate", math.inf, "finite number"),
        ("train.learning_rate", -math.inf, "finite number"),
        ("train.learning_rate", "0.001", "valid number"),
        ("train.learning_rate", True, "valid number"),
        ("train.learning_rate", [0.001], "valid number"),
        ("train", 5, "valid dictionary"),
        ("train", None, "valid dictionary"),
        ("train", [1], "valid dictionary"),
        ("preprocess.validation_fraction", 0.0, "greater than 0"),
        ("preprocess.validation_fraction", 1.0, "less than 1"),
        ("preprocess.split", "head", "'tail', 'stratified', 'random' or 'grouped'"),
        ("preprocess.split", "Tail", "'tail', 'stratified', 'random' or 'grouped'"),
        ("preprocess.split_seed", -1, "greater than or equal to 0"),
        ("train.schedule", "linear", "'constant' or 'cosine'"),
        ("train.warmup", -1, "greater than or equal to 0"),
        ("train.label_smoothing", 0.6, "less than or equal to 0.5"),
        ("train.precision", "float16", "'float32' or 'mixed_bfloat16'"),
        ("train.members", 0, "greater than or equal to 1"),
        ("train.members", 101, "less than or equal to 100"),
        ("train.refit", "true", "valid boolean"),
        ("train.augmentation.rotation", 181, "less than or equal to 180"),
        ("train.augmentation.rotation", -1, "greater than or equal to 0"),
        ("train.augmentation.translation", -1, "greater than or equal to 0"),
        ("train.augmentation.zoom", 1.0, "less than 1"),
        ("train.augmentation.shear", 1.0, "less than 1"),
        ("train.augmentation.elastic", math.nan, "finite number"),
        ("train.augmentation.flip", 1, "valid boolean"),
        ("model.name", "perceptron", " or ".join(map(repr, NETWORKS[-2:]))),
        ("model.mlp.units", 512, "valid list"),
        ("plots.resolution", 29, "greater than or equal to 30"),
        ("plots.resolution", 1201, "less than or equal to 1200"),
        ("plots.confused_pairs", 0, "greater than or equal to 1"),
        ("dataset", 1, "valid string"),
        ("dataset", None, "valid string"),
    ],
)
def test_a_wrong_value_is_named_with_its_place_and_what_is_allowed(tmp_path, key, value, allowed):
    line = problem(tmp_path, set_value(VALUES, key, value))
    assert line.startswith(f"{key}: should be ")
    assert allowed in line
    assert line.endswith(f", found {value!r}")


@pytest.mark.parametrize(
    ("block", "place"),
    [
        (MLP | {"units": [8, 0], "dropout": [0.0, 0.0]}, "model.mlp.units.1"),
        (MLP | {"units": [8, 16_385], "dropout": [0.0, 0.0]}, "model.mlp.units.1"),
        (MLP | {"units": ["8"], "dropout": [0.0]}, "model.mlp.units.0"),
        (MLP | {"units": [], "dropout": []}, "model.mlp.units"),
        (MLP | {"units": [8], "dropout": [1.0]}, "model.mlp.dropout.0"),
        (MLP | {"units": [8], "dropout": [-0.1]}, "model.mlp.dropout.0"),
        (MLP | {"units": [8], "dropout": [math.nan]}, "model.mlp.dropout.0"),
        (CNN | {"kernels": [0, *CNN["kernels"][1:]]}, "model.cnn.kernels.0"),
        (CNN | {"strides": [9, *CNN["strides"][1:]]}, "model.cnn.strides.0"),
    ],
)
def test_a_wrong_value_in_a_list_is_named_with_its_place(tmp_path, block, place):
    network = ".".join(place.split(".")[:2])
    assert problem(tmp_path, set_value(VALUES, network, block)).startswith(f"{place}: ")


@pytest.mark.parametrize("dropout", [[], [0.1], [0.1, 0.2, 0.3]])
def test_each_layer_of_units_needs_its_dropout(tmp_path, dropout):
    block = MLP | {"units": [8, 4], "dropout": dropout}
    line = problem(tmp_path, set_value(VALUES, "model.mlp", block))
    assert line.startswith(f"model.mlp: dropout has {len(dropout)} values for 2 units: give one")


@pytest.mark.parametrize("key", ["kernels", "strides"])
def test_each_layer_of_filters_needs_its_kernel_and_its_stride(tmp_path, key):
    line = problem(tmp_path, set_value(VALUES, "model.cnn", CNN | {key: [1]}))
    assert line.startswith(f"model.cnn: {key} has 1 values for {len(CNN['filters'])} filters")


@pytest.mark.parametrize("epochs", [20, 25])
def test_a_warmup_ends_before_the_training_does(tmp_path, epochs):
    line = problem(tmp_path, set_value(VALUES, "train.warmup", epochs))
    assert line == f"train: warmup takes {epochs}.0 of 20 epochs: shorten it"


@pytest.mark.parametrize(("key", "value"), [("train.keep", "best"), ("train.patience", 3)])
def test_without_validation_images_no_epoch_is_chosen(tmp_path, key, value):
    chosen = set_value(VALUES, key, value)
    assert read_sections(write(tmp_path, chosen), DATA)
    line = problem(tmp_path, set_value(chosen, "train.refit", True))
    assert line == (
        "train: refit: true trains on the validation images, so no validation loss can choose an "
        "epoch: expected keep: last and patience: 0, found "
        f"keep: {'best' if key == 'train.keep' else 'last'} and "
        f"patience: {3 if key == 'train.patience' else 0}. Set these two, or refit: false"
    )


def test_each_member_of_an_ensemble_has_a_seed(tmp_path):
    last = set_value(VALUES, "seed", 2**32 - 2)
    assert read_sections(write(tmp_path, set_value(last, "train.members", 2)), DATA)
    line = problem(tmp_path, set_value(last, "train.members", 3))
    assert line.endswith("expected the last one to be at most 4294967295")


@pytest.mark.parametrize("number", ["1e-05", "1E-5", "1.0e-05", "0.00001"])
def test_a_small_number_is_a_number_as_dvc_writes_it(tmp_path, number):
    path = write(tmp_path, TEXT.replace("learning_rate: 0.001", f"learning_rate: {number}"))
    assert read_sections(path, DATA)["train"].learning_rate == 1e-5


def test_every_problem_is_in_one_message(tmp_path):
    values = without(VALUES, "preprocess.split_seed")
    for key, value in [
        ("train.epochs", 0),
        ("train.learning_rate", math.inf),
        ("preprocess.split", "head"),
        ("model.mlp.dropout", [0.2, 1.5]),
        ("plots.resolutoin", 300),
    ]:
        values = set_value(values, key, value)
    first, *lines = refusal(tmp_path, values).splitlines()
    assert first == " has 6 problems:"
    assert sorted(lines) == [
        "  model.mlp.dropout.1: should be less than 1, found 1.5",
        "  plots.resolutoin: unknown key; expected one of resolution, confused_pairs",
        "  preprocess.split: should be 'tail', 'stratified', 'random' or 'grouped', found 'head'",
        "  preprocess.split_seed: missing; add it",
        "  train.epochs: should be greater than or equal to 1, found 0",
        "  train.learning_rate: should be a finite number, found inf",
    ]


# Keys


@pytest.mark.parametrize(
    ("key", "known"),
    [
        ("sead", VALUES),
        ("train.epoch", VALUES["train"]),
        ("train.augmentation.noise", VALUES["train"]["augmentation"]),
        ("model.rnn", VALUES["model"]),
        ("model.cnn.padding", VALUES["model"]["cnn"]),
        ("model.mlp.activation", VALUES["model"]["mlp"]),
    ],
)
def test_an_unknown_key_is_refused_and_the_known_ones_are_named(tmp_path, key, known):
    name, expected = problem(tmp_path, set_value(VALUES, key, 1)).split(": unknown key; expected ")
    assert name == key
    assert set(expected.removeprefix("one of ").split(", ")) == set(known)


@pytest.mark.parametrize(
    ("key", "cure"),
    [
        ("seed", ""),
        ("gate", ""),
        ("dataset", ": `dataset: mnist`"),
        ("train.epochs", ": `epochs: 20`"),
        ("model.mlp.units", ": `units: [512, 256]`"),
        (
            "model.pretrained",
            (
                ": `pretrained: {backbone: efficientnet_lite0, side: 128, dropout: 0.2, views: 1, "
                "tuned_blocks: 0, tuned_epochs: 6, tuned_learning_rate: 0.0003}`"
            ),
        ),
        (
            "train.augmentation",
            (
                ": `augmentation: {rotation: 0, translation: 0, zoom: 0.0, shear: 0.0, "
                "elastic: 0.0, flip: false}`"
            ),
        ),
    ],
)
def test_a_missing_key_is_refused_with_the_shipped_value(tmp_path, key, cure):
    assert problem(tmp_path, without(VALUES, key)) == f"{key}: missing; add it{cure}"


def test_views_without_an_augmentation_are_refused(tmp_path):
    values = set_value(VALUES, "model.pretrained.views", 3)
    read_sections(write(tmp_path, values))  # idle: another network is chosen
    chosen = set_value(values, "model.name", "pretrained")
    assert "views is 3, and without an augmentation all of them are the same" in problem(
        tmp_path, chosen
    )
    read_sections(write(tmp_path, set_value(chosen, "train.augmentation.rotation", 5)))


@pytest.mark.parametrize("key", [5, None, True, 1.5])
def test_a_key_that_is_no_text_is_refused(tmp_path, key):
    assert "Keys should be strings" in problem(tmp_path, VALUES | {key: 1})


@pytest.mark.parametrize("name", ["cifar", "raw", "processed", "MNIST"])
def test_a_data_set_without_a_folder_is_refused_and_the_others_are_named(tmp_path, name):
    message = refusal(tmp_path, set_value(VALUES, "dataset", name))
    assert message.startswith(f": dataset: found '{name}', expected a folder of ")
    assert message.endswith(f"that has a dataset.yaml: {' | '.join(DATASETS)}")


@pytest.mark.parametrize(
    "name", ["../mnist", "mnist/", "v1.2", "", "${seed}", "my data", "mnist\n"]
)
def test_a_name_that_dvc_could_not_use_is_refused(tmp_path, name):
    message = problem(tmp_path, set_value(VALUES, "dataset", name))
    assert message.startswith("dataset: expected a folder of data/ whose name has A-Z, a-z, 0-9, _")
    assert message.endswith(f"found {name!a}: rename it")


# YAML


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TEXT + "seed: 1\n", 'duplicate key "seed"'),
        (TEXT.replace("  epochs:", "  epochs: 1\n  epochs:"), 'duplicate key "epochs"'),
        (TEXT + "x: [512, 256\n", "not readable as YAML"),
        (TEXT + "\tx: 1\n", "not readable as YAML"),
        (TEXT + "---\nseed: 1\n", "another document"),
        (TEXT + "x: *nothing\n", "undefined alias 'nothing'"),
        (TEXT + "? {a: 1}\n: 1\n", "unhashable key"),
        (TEXT + "x: 2001-99-99\n", "month must be in 1..12"),
        (TEXT + "x: \0\n", "not allowed"),
        ("[" * 600, "recursion"),
        ("x: " + "1" * 5000, "digits"),
        ("%YAML 1.1\n---\nx: -_\n", "index out of range"),
    ],
)  # fmt: skip
def test_what_is_no_proper_yaml_is_refused(tmp_path, text, reason):
    message = refusal(tmp_path, text)
    assert "not readable as YAML" in message
    assert reason in message


def test_a_fault_in_the_yaml_is_named_with_its_line(tmp_path):
    last = len(TEXT.splitlines())
    assert refusal(tmp_path, TEXT + "seed: 1\n").startswith(f", line {last + 1}: ")


@pytest.mark.parametrize(
    "value",
    [
        "!!int '5'",
        "!!float 1",
        "!!python/object/apply:os.system ['touch touched']",
        "!own 1",
        "! 1",
    ],
)
def test_a_tag_is_refused_with_its_line_and_does_nothing(tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    message = refusal(tmp_path, f"dataset: mnist\nseed: {value}\n")
    assert message == ", line 2: a YAML tag (!...) is not allowed; remove it"
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("text", ["a: 1  # !not a tag\n", "a: 'no !tag'\n", "a!: b!\n"])
def test_an_exclamation_mark_alone_is_no_tag(tmp_path, text):
    assert read_yaml(write(tmp_path, text)) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [("", "None"), ("# nothing\n", "None"), ("5", "5"), ("[1, 2]", "[1, 2]"), ("mnist", "'mnist'"),
     ("&a [*a]", "[[")],
    ids=["empty", "comment", "number", "list", "text", "list of itself"],
)  # fmt: skip
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, found):
    line = problem(tmp_path, text)
    assert line.startswith("the file: should be a valid dictionary")
    assert f"found {found}" in line


def test_a_section_that_contains_itself_is_refused(tmp_path):
    message = refusal(tmp_path, "train: &train {epochs: *train}\n")
    assert "  train.epochs: should be a valid integer, found {'epochs': {'epochs':" in message


def test_an_anchor_of_a_plain_value_is_as_good_as_the_value(tmp_path):
    text = TEXT.replace("seed: 0 ", "seed: &seed 7", 1).replace(
        "split_seed: 0", "split_seed: *seed"
    )
    assert read_sections(write(tmp_path, text), DATA)["preprocess"].split_seed == 7


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", TEXT.encode("utf-16"), "seed: é".encode("latin-1")]
)
def test_what_is_not_utf_8_is_refused(tmp_path, content):
    assert refusal(tmp_path, content).startswith(": expected UTF-8 text: ")


def test_a_missing_file_says_how_to_get_it_back(tmp_path):
    with pytest.raises(UserError, match=r"gone\.yaml is missing: `git checkout -- "):
        read_sections(tmp_path / "gone.yaml", DATA)
    with pytest.raises(UserError, match=r"that has a dataset\.yaml: there is none"):
        read_sections(PARAMS, tmp_path)


# dataset.yaml


@pytest.mark.parametrize("key", ["title", "class_axis", "classes"])
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("two\nlines", "U+000A"),
        ("tab\tstop", "U+0009"),
        ("nul\0", "U+0000"),
        ("\x1b[31mred", "U+001B"),
        ("next\x85line", "U+0085"),
        ("paragraph\u2029", "U+2029"),
        ("\u202eturned", "U+202E"),
        ("\u2066apart\u2069", "U+2066, U+2069"),
    ],
)
def test_a_name_that_would_alter_what_stands_beside_it_is_refused(tmp_path, key, name, code):
    value = ["left", name] if key == "classes" else name
    place = "classes.1" if key == "classes" else key
    assert dataset_refusal(tmp_path, dataset_with(key, value)).splitlines()[1:] == [
        f"  {place}: expected one line without control characters, found {code}: remove it"
    ]


@given(
    name=st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cf"]), min_size=1)
    | st.sampled_from(
        ["$5", "<script>", "# *x*", "a|b", "`", "\\\\", "{x}", "${x}", "null", "👩\u200d🔬"]
    )
)
def test_a_name_may_be_any_other_text(name):
    values = dataset_with("classes", [f"{name}.", "other"])
    assert validate(Dataset, values, Path("dataset.yaml")).classes[0] == f"{name}."


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("files.train_images.sha256", "ba89"),
        ("files.train_images.sha256", "BA89" * 16),
        ("files.train_images.sha256", "0" * 64 + "\n"),
        ("files.train_images.size", 0),
        ("files.train_images.name", "../x"),
        ("files.train_images.name", "/x"),
        ("files.train_images.name", ""),
        ("classes", ["only one"]),
        ("classes", ["left", "middle", "left"]),
        ("classes.0", ""),
        ("classes.0", "\u3000 "),
        ("classes", [str(number) for number in range(1001)]),
        ("classes.0", 5),
        ("sources.0", "https://example.invalid/data.gz"),
        ("sources.0", "https://example.invalid/{name}/{other}"),
        ("sources.0", "https://example.invalid/{name}/{name}"),
        ("sources.0", "ftp://example.invalid/{name}"),
        ("sources.0", "folder:/tmp/{name}"),
        ("title", None),
    ],
)
def test_a_wrong_value_of_a_data_set_is_named_with_its_place(tmp_path, key, value):
    first, last = key.rsplit(".", 1) if "." in key else ("", key)
    changed = {first: [value]} if last == "0" else {key: value}
    ((place, content),) = changed.items()
    header, *lines = dataset_refusal(tmp_path, dataset_with(place, content)).splitlines()
    assert header == " has 1 problem:"
    assert lines[0].startswith(f"  {key}: ")


def test_an_unknown_and_a_missing_key_of_a_data_set_are_named(tmp_path):
    dataset = dataset_with("images.hight", 12)
    del dataset["files"]["test_images"]["size"]
    assert dataset_refusal(tmp_path, dataset).splitlines() == [
        " has 2 problems:",
        "  files.test_images.size: missing; add it",
        "  images.hight: unknown key; expected one of height, width, colour, fit, background",
    ]


def test_files_are_those_of_the_format(tmp_path):
    dataset = dataset_with("files.validation_images", {"name": "x"})
    roles = ", ".join(tiny_files())
    assert dataset_refusal(tmp_path, dataset).splitlines()[1:] == [
        f"  the file: files: for the format idx expected {roles}; found validation_images"
    ]


OWN = {"all": {"name": "images", "count": 5}}
CSV = {"name": "csv", "label": "label", "first_label": "names"}
FOLDER = {"name": "folder", "layout": "classes"}
FILE = {"name": "x", "size": 1, "sha256": "0" * 64}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"format": {"name": "tfrecord"}},
            ("format.name: should be one of 'idx', 'npz', 'csv', 'parquet', 'folder', found "
             "'tfrecord'"),
        ),
        ({"format": {"first_label": 0}}, "format.name: missing; add it"),
        ({"format": 5}, "format: should be a valid dictionary, found 5"),
        ({"format": {"name": "idx"}}, "format.first_label: missing; add it"),
        (
            {"format": {"name": "idx", "first_label": 2}},
            "format.first_label: should be less than or equal to 1, found 2",
        ),
        (
            {"format": CSV | {"image": "x"}},
            "format.image: unknown key; expected one of name, label, first_label",
        ),
        ({"files": {"all": 5}}, "files.all: should be a valid dictionary, found 5"),
        ({"files": {"all": {"name": "x", "size": 1}}}, "files.all.sha256: missing; add it"),
        (
            {"files": {"all": FILE | {"md5": ""}}},
            "files.all.md5: unknown key; expected one of name, size, sha256",
        ),
        ({"files": {}}, "files: Dictionary should have at least 1 item, not 0, found {}"),
        (
            {"format": CSV, "files": {"all": {"name": "../x.csv"}}},
            "files.all.name: expected a path in the folder of dataset.yaml, found '../x.csv'",
        ),
        (
            {"format": CSV, "files": {"train": FILE, "second": FILE}},
            ("the file: files: for the format csv expected all, train, validation or test; of "
             "several parts train, train_2, ...; found second"),
        ),
        (
            {"files": {"train_images": FILE}},
            "the file: files: expected both of ['train_images', 'train_labels']",
        ),
        (
            {"format": FOLDER, "files": {"all": {"name": "images"}}},
            "the file: files.all: expected a count of its images beside its name",
        ),
        (
            {"format": CSV, "files": OWN},
            "the file: files.all: only the format folder has a count",
        ),
        (
            {"images.background": "black"},
            "images.background: should be a valid integer, found 'black'",
        ),
        (
            {"images.background": 256},
            "images.background: should be less than or equal to 255, found 256",
        ),
        (
            {"images.background": [0, 0]},
            "images.background: List should have at least 3 items, not 2, found [0, 0]",
        ),
        (
            {"images.colour": "rgb"},
            "images: background: expected [red, green, blue], as colour is rgb; found 0",
        ),
        (
            {"images.colour": "rgb", "images.background": [0, 0, 0], "images.fit": "ink"},
            "images: fit: ink is for grey images; found colour: rgb",
        ),
        (
            {"splits.test_split": "grouped"},
            "the file: splits.test_split: grouped, but splits.group says no group",
        ),
        (
            {"splits.group": "patient"},
            "the file: splits.group: the format idx has no groups; write \"\"",
        ),
        (
            {"format": FOLDER, "files": OWN, "splits.group": "(a"},
            ("the file: splits.group: '(a' is no pattern: missing ), unterminated subpattern at "
             "position 0"),
        ),
        (
            {"format": FOLDER, "files": OWN, "splits.group": "patient"},
            ("the file: splits.group: expected the column group, or a pattern over paths with one "
             "pair of parentheses around what images of a group share; found 'patient'"),
        ),
    ],
)  # fmt: skip
def test_a_contradiction_of_a_data_set_is_one_clear_line(tmp_path, changes, line):
    dataset = tiny_dataset(tiny_files(), sources=[])
    for key, value in changes.items():
        dataset = set_value(dataset, key, value)
    assert dataset_refusal(tmp_path, dataset).splitlines() == [" has 1 problem:", f"  {line}"]


def test_a_grouped_split_needs_groups(tmp_path):
    (tmp_path / "tiny").mkdir()
    write(tmp_path / "tiny", tiny_dataset(tiny_files(), sources=[]), "dataset.yaml")
    grouped = set_value(set_value(VALUES, "preprocess.split", "grouped"), "dataset", "tiny")
    with pytest.raises(UserError, match=r"preprocess\.split: found grouped, but .* no group: name"):
        read_sections(write(tmp_path, grouped), tmp_path)


def sections_of(values: Any) -> list[Any]:
    """Every mapping within."""
    if not isinstance(values, dict):
        return []
    return [values, *(section for each in values.values() for section in sections_of(each))]


SECTIONS: list[dict[str, object]] = [
    {},
    {"format": CSV, "files": {"train": {"name": "x.csv"}}},
    {"format": FOLDER, "files": OWN, "splits.group": "(.)"},
    {"format": {"name": "parquet", "image": "i", "label": "l", "first_label": 0},
     "files": {"all": FILE}},
]  # fmt: skip
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["idx", "csv", "folder", "(", "(a+)+", "..", "/", "own", "0" * 64])
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["name", "count", "size", "own", "all", "grey", "x"]) | SCALARS,
            inner,
            max_size=4,
        )
    ),
    max_leaves=6,
)


@given(data=st.data())
@settings(deadline=None, max_examples=500)
def test_any_values_of_a_data_set_are_accepted_or_refused_in_words(data):
    dataset = tiny_dataset(tiny_files(), sources=["https://example.invalid/{name}"])
    for key, value in data.draw(st.sampled_from(SECTIONS)).items():
        dataset = set_value(dataset, key, value)
    dataset = copy.deepcopy(dataset)
    for _ in range(data.draw(st.integers(1, 3))):
        section = data.draw(st.sampled_from([each for each in sections_of(dataset) if each]))
        section[data.draw(st.sampled_from(list(section)))] = data.draw(ANYTHING)
    try:
        validate(Dataset, dataset, Path("dataset.yaml"))
    except UserError as refused:
        message = str(refused)
    else:
        message = ""
    assert not re.search(r"tagged-union|constrained|Unable to extract", message)


def test_a_data_set_that_is_no_mapping_is_refused(tmp_path):
    assert "the file: should be a valid dictionary, found None" in dataset_refusal(tmp_path, "")


def test_a_data_set_that_is_not_chosen_does_not_matter(tmp_path):
    shutil.copytree(DATA / "mnist", tmp_path / "mnist")
    (tmp_path / "broken").mkdir()
    write(tmp_path / "broken", "[", "dataset.yaml")
    assert read_sections(PARAMS, tmp_path)["dataset"].title


# Anything


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for the many examples of a test."""
    return tmp_path_factory.mktemp("scratch") / "params.yaml"


ANY_TEXT = st.text() | st.text(alphabet="ab01-_.:?!&*|>'\"{}[],#%@`~=< \n\t", max_size=12)
ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.integers() | st.none(), inner, max_size=4)
    ),
    max_leaves=8,
)
PLACES = ["dataset", "seed", "train", "train.epochs", "train.learning_rate", "preprocess.split",
          "model", "model.name", "model.mlp", "model.mlp.units", "model.mlp.dropout"]  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # an anchor that is used twice is worth no more than that
@settings(deadline=None)  # a busy machine is no defect
@given(text=ANY_TEXT)
def test_any_text_is_read_or_refused(scratch, text):
    scratch.write_bytes(text.encode())
    with suppress(UserError):
        read_sections(scratch, DATA)


@pytest.mark.filterwarnings("ignore")  # an anchor that is used twice is worth no more than that
@settings(deadline=None, max_examples=50)
@given(text=ANY_TEXT, place=st.integers(0, len(TEXT)))
def test_any_text_within_the_shipped_file_is_read_or_refused(scratch, text, place):
    scratch.write_bytes((TEXT[:place] + text + TEXT[place:]).encode())
    with suppress(UserError):
        read_sections(scratch, DATA)


@settings(deadline=None)
@given(values=ANY_VALUE)
def test_any_values_are_refused(values):
    with pytest.raises(UserError, match=r"^params\.yaml has "):
        validate(Params, values, Path("params.yaml"))


@settings(deadline=None)
@given(place=st.sampled_from(PLACES), value=ANY_VALUE)
def test_any_value_in_any_place_comes_through_unaltered_or_is_refused(place, value):
    values = set_value(VALUES, place, value)
    with suppress(UserError):
        assert validate(Params, values, Path("params.yaml")).model_dump() == values


# The command


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.check"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def make_project(folder: Path, params: object) -> None:
    write(folder, params)
    shutil.copytree(DATA / "mnist", folder / "data/mnist")


def test_the_command_is_silent_if_all_is_well(tmp_path):
    make_project(tmp_path, TEXT)
    done = check(tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_command_prints_what_is_wrong_and_no_traceback(tmp_path):
    make_project(tmp_path, set_value(VALUES, "train.epochs", 0))
    done = check(tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "params.yaml has 1 problem:",
        "  train.epochs: should be greater than or equal to 1, found 0",
    ]


def test_the_command_has_a_line_for_a_file_that_cannot_be_opened(tmp_path):
    (tmp_path / "params.yaml").mkdir()
    done = check(tmp_path)
    assert done.returncode == 1
    assert done.stderr == "[Errno 21] Is a directory: 'params.yaml'\n"


def test_a_number_of_thousands_of_digits_is_refused(tmp_path):
    """Python refuses to write it in a message, so a message must do without."""
    text = TEXT.replace("seed: 0 ", f"seed: 0x{'f' * 5000} ", 1)
    assert text != TEXT
    assert "seed: " in refusal(tmp_path, text)
