"""params.yaml and a data set's dataset.yaml: their types and limits, checked before a stage starts.

A stage gets the values that the files say, as plain attributes: the checks refuse values and alter
none, and these classes have no properties or methods that a stage could call. There are no defaults
here; params.yaml holds every value.
"""

import re
import unicodedata
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, field_validator, model_validator

from stages.run.keys import as_attributes
from stages.run.yaml_files import Section, read_yaml, validate
from stages.shared.errors import UserError

PARAMS = Path("params.yaml")
DATA = Path("data")

Block = TypeVar("Block")
SEEDS = 2**32  # NumPy and Keras take seeds below this
Seed = Annotated[int, Field(ge=0, lt=SEEDS)]
Share = Annotated[float, Field(ge=0, lt=1)]
Layers = Annotated[list[Annotated[int, Field(ge=1, le=16_384)]], Field(min_length=1)]

# Unicode's categories of what no name has: controls, half characters, ends of lines; and the
# controls of direction, whose effect goes beyond the name.
REFUSED_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
REFUSED_DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def on_one_line(name: str) -> str:
    """Refuse a name that is blank or would alter what stands beside it; all else is data."""
    if not name.strip():
        raise ValueError("expected a name, found an empty or blank one")
    wrong = [
        f"U+{ord(letter):04X}"
        for letter in name
        if unicodedata.category(letter) in REFUSED_CATEGORIES
        or unicodedata.bidirectional(letter) in REFUSED_DIRECTIONS
    ]
    if wrong:
        raise ValueError(
            "expected one line without control characters, found "
            f"{', '.join(dict.fromkeys(wrong))}: remove it"
        )
    return name


Name = Annotated[str, AfterValidator(on_one_line)]


class Augmentation(Section):
    rotation: Annotated[float, Field(ge=0, le=180)]
    translation: Annotated[float, Field(ge=0, le=1000)]
    zoom: Share
    shear: Share
    elastic: Annotated[float, Field(ge=0, le=1000)]
    flip: bool


class Train(Section):
    epochs: Annotated[int, Field(ge=1, le=10_000)]
    batch_size: Annotated[int, Field(ge=1, le=65_536)]
    learning_rate: Annotated[float, Field(gt=0, le=10)]
    schedule: Literal["constant", "cosine"]
    warmup: Annotated[float, Field(ge=0)]
    label_smoothing: Annotated[float, Field(ge=0, le=0.5)]
    threads: Annotated[int, Field(ge=1, le=1024)]
    precision: Literal["float32", "mixed_bfloat16"]
    members: Annotated[int, Field(ge=1, le=100)]
    refit: bool
    augmentation: Augmentation

    @model_validator(mode="after")
    def warmup_within_training(self) -> Self:
        if self.warmup >= self.epochs:
            raise ValueError(f"warmup takes {self.warmup} of {self.epochs} epochs: shorten it")
        return self


class Mlp(Section):
    units: Layers
    dropout: list[Share]
    batch_normalization: bool

    @model_validator(mode="after")
    def one_value_a_layer(self) -> Self:
        return one_each(self, "units", "dropout")


class Cnn(Section):
    filters: Layers
    kernels: Annotated[list[Annotated[int, Field(ge=1, le=31)]], Field(min_length=1)]
    strides: Annotated[list[Annotated[int, Field(ge=1, le=8)]], Field(min_length=1)]
    dropout: Share
    batch_normalization: bool

    @model_validator(mode="after")
    def one_value_a_layer(self) -> Self:
        return one_each(self, "filters", "kernels", "strides")


def one_each(block: Block, first: str, *others: str) -> Block:
    """Refuse lists of a network that do not have one value for each of its layers."""
    expected = len(getattr(block, first))
    for other in others:
        found = len(getattr(block, other))
        if found != expected:
            raise ValueError(f"{other} has {found} values for {expected} {first}: give one to each")
    return block


class Model(Section):
    name: Literal["mlp", "cnn"]
    mlp: Mlp
    cnn: Cnn


class Preprocess(Section):
    validation_fraction: Annotated[float, Field(gt=0, lt=1)]
    split: Literal["tail", "stratified", "random"]
    split_seed: Seed


class Plots(Section):
    resolution: Annotated[int, Field(ge=30, le=1200)]
    confused_pairs: Annotated[int, Field(ge=1, le=100)]


class Params(Section):
    dataset: str
    seed: Seed
    train: Train
    model: Model
    preprocess: Preprocess
    plots: Plots

    @field_validator("dataset")
    @classmethod
    def a_folder_that_dvc_can_name(cls, dataset: str) -> str:
        if not re.fullmatch("[A-Za-z0-9_-]+", dataset):
            raise ValueError(
                "expected a folder of data/ whose name has A-Z, a-z, 0-9, _ and - only, as other "
                f"characters have a meaning in DVC's keys; found {dataset!a}: rename it"
            )
        return dataset

    @model_validator(mode="after")
    def a_seed_for_each_member(self) -> Self:
        if self.seed + self.train.members > SEEDS:
            raise ValueError(
                f"seed is {self.seed} with {self.train.members} members, whose seeds follow each "
                f"other: expected the last one to be at most {SEEDS - 1}"
            )
        return self


class DataFile(Section):
    """An IDX file as its sources name it; size in bytes and hash are those of its plain content."""

    name: Annotated[str, Field(pattern=r"^[\w][\w.-]*$")]
    size: Annotated[int, Field(gt=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class DataFiles(Section):
    train_images: DataFile
    train_labels: DataFile
    test_images: DataFile
    test_labels: DataFile


class Dataset(Section):
    title: Name
    classes: Annotated[list[Name], Field(min_length=2, max_length=256)]
    class_axis: Name
    files: DataFiles
    sources: list[Annotated[str, Field(pattern=r"^(https?://|npm:)[^{}]+\{name\}[^{}]*$")]]
    suspect_test_labels: list[Annotated[int, Field(ge=0)]]
    licence: str
    citation: str

    @field_validator("classes")
    @classmethod
    def a_name_for_each_class(cls, classes: list[str]) -> list[str]:
        wrong = [name for name in classes if classes.count(name) > 1]
        if wrong:
            raise ValueError(f"expected a name of its own for each class, found {wrong}")
        return classes


def read_sections(params: Path = PARAMS, data: Path = DATA) -> dict[str, Any]:
    """Every section of params.yaml by name; `dataset` is what the chosen dataset.yaml says.

    Raises UserError with every problem of a file in one message.
    """
    values = validate(Params, read_yaml(params), params)
    known = sorted(file.parent.name for file in data.glob("*/dataset.yaml"))
    if values.dataset not in known:
        raise UserError(
            f"{params}: dataset: found '{values.dataset}', expected a folder of {data}/ that has a "
            f"dataset.yaml: {' | '.join(known) or 'there is none'}"
        )
    path = data / values.dataset / "dataset.yaml"
    dataset = validate(Dataset, read_yaml(path), path)
    sections: dict[str, Any] = as_attributes(values.model_dump())
    return vars(sections) | {"dataset": as_attributes(dataset.model_dump())}
