"""params.yaml and a data set's dataset.yaml: their types and limits, checked before a stage starts.

A stage gets the values that the files say, as plain attributes: the checks refuse values and alter
none, and these classes have no properties or methods that a stage could call. There are no defaults
here; params.yaml holds every value.
"""

import re
import unicodedata
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from stages.run.keys import as_attributes, get_value
from stages.run.yaml_files import Section, read_yaml, validate
from stages.shared.errors import UserError

PARAMS = Path("params.yaml")
DATA = Path("data")
RECIPES = Path("recipes.yaml")
BASE_RECIPE = "article"  # the recipe that the others change

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


def beside_dataset_yaml(name: str) -> str:
    """Refuse a path that leads out of the data set's folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(f"expected a path in the folder of dataset.yaml, found {name!r}")
    return name


class Augmentation(Section):
    rotation: Annotated[float, Field(ge=0, le=180)]
    translation: Annotated[float, Field(ge=0, le=1000)]
    zoom: Share
    shear: Share
    elastic: Annotated[float, Field(ge=0, le=1000)]
    flip: bool


class Train(Section):
    epochs: Annotated[int, Field(ge=1, le=10_000)]
    keep: Literal["last", "best"]
    patience: Annotated[int, Field(ge=0, le=10_000)]
    batch_size: Annotated[int, Field(ge=1, le=65_536)]
    learning_rate: Annotated[float, Field(gt=0, le=10)]
    schedule: Literal["constant", "cosine"]
    warmup: Annotated[float, Field(ge=0)]
    label_smoothing: Annotated[float, Field(ge=0, le=0.5)]
    threads: Annotated[int, Field(ge=1, le=1024)]
    precision: Literal["float32", "mixed_bfloat16"]
    members: Annotated[int, Field(ge=1, le=100)]
    class_weight: Literal["none", "balanced"]
    refit: bool
    augmentation: Augmentation

    @model_validator(mode="after")
    def warmup_within_training(self) -> Self:
        if self.warmup >= self.epochs:
            raise ValueError(f"warmup takes {self.warmup} of {self.epochs} epochs: shorten it")
        return self

    @model_validator(mode="after")
    def a_validation_loss_to_choose_by(self) -> Self:
        if self.refit and (self.keep == "best" or self.patience):
            raise ValueError(
                "refit: true trains on the validation images, so no validation loss can choose an "
                f"epoch: expected keep: last and patience: 0, found keep: {self.keep} and "
                f"patience: {self.patience}. Set these two, or refit: false"
            )
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


class Pretrained(Section):
    backbone: Literal["efficientnet_lite0"]
    side: Annotated[int, Field(ge=32, le=1024)]
    dropout: Share
    views: Annotated[int, Field(ge=1, le=1000)]
    tuned_blocks: Annotated[int, Field(ge=0, le=16)]
    tuned_epochs: Annotated[int, Field(ge=1, le=10_000)]
    tuned_learning_rate: Annotated[float, Field(gt=0, le=10)]


def one_each(block: Block, first: str, *others: str) -> Block:
    """Refuse lists of a network that do not have one value for each of its layers."""
    expected = len(getattr(block, first))
    for other in others:
        found = len(getattr(block, other))
        if found != expected:
            raise ValueError(f"{other} has {found} values for {expected} {first}: give one to each")
    return block


class Model(Section):
    name: Literal["mlp", "cnn", "pretrained"]
    mlp: Mlp
    cnn: Cnn
    pretrained: Pretrained


class Preprocess(Section):
    validation_fraction: Annotated[float, Field(gt=0, lt=1)]
    split: Literal["tail", "stratified", "random", "grouped"]
    split_seed: Seed


class Evaluate(Section):
    accepted_error: Annotated[float, Field(gt=0, lt=1)]


class Plots(Section):
    resolution: Annotated[int, Field(ge=30, le=1200)]
    confused_pairs: Annotated[int, Field(ge=1, le=100)]


Limit = Annotated[float, Field(ge=0)]
ValidationMetric = Literal["accuracy", "loss"]
TestMetric = Literal[
    "accuracy", "accuracy_trusted", "balanced_accuracy", "macro_f1", "coverage",
    "loss", "calibration_error", "accepted_error_rate",
]  # fmt: skip


class Gate(Section):
    """Limits by metric: at most for losses and errors, at least for all others.

    They are limits for one data set: `dataset`.
    """

    dataset: str
    validation: dict[ValidationMetric, Limit]
    test: dict[TestMetric, Limit]


class Params(Section):
    dataset: str
    seed: Seed
    train: Train
    model: Model
    preprocess: Preprocess
    evaluate: Evaluate
    plots: Plots
    gate: Gate

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
    def views_that_differ(self) -> Self:
        views = self.model.pretrained.views
        if (
            self.model.name == "pretrained"
            and views > 1
            and not any(vars(self.train.augmentation).values())
        ):
            raise ValueError(
                f"model.pretrained.views is {views}, and without an augmentation all of them are "
                "the same: expected a value above 0 in train.augmentation, or views: 1"
            )
        return self

    @model_validator(mode="after")
    def a_seed_for_each_member(self) -> Self:
        if self.seed + self.train.members > SEEDS:
            raise ValueError(
                f"seed is {self.seed} with {self.train.members} members, whose seeds follow each "
                f"other: expected the last one to be at most {SEEDS - 1}"
            )
        return self


class PublishedFile(Section):
    """A file to download; size in bytes and hash are those of its plain content."""

    name: Annotated[str, Field(pattern=r"^[\w][\w.-]*$")]
    size: Annotated[int, Field(gt=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class OwnFile(Section):
    """A file that lies beside dataset.yaml."""

    name: Annotated[Name, AfterValidator(beside_dataset_yaml)]


class OwnImages(Section):
    """A folder or an archive of images beside dataset.yaml, and how many images it holds."""

    name: Annotated[Name, AfterValidator(beside_dataset_yaml)]
    count: Annotated[int, Field(gt=0)]


def kind_of_file(file: Any) -> str:
    keys = file if isinstance(file, dict) else vars(file) if isinstance(file, Section) else {}
    if "size" in keys or "sha256" in keys:
        return "published"
    return "images" if "count" in keys else "own"


DataFile = Annotated[
    Annotated[PublishedFile, Tag("published")]
    | Annotated[OwnImages, Tag("images")]
    | Annotated[OwnFile, Tag("own")],
    Discriminator(kind_of_file),
]


class IdxFormat(Section):
    name: Literal["idx"]
    first_label: Annotated[int, Field(ge=0, le=1)]


class NpzFormat(Section):
    name: Literal["npz"]
    first_label: Annotated[int, Field(ge=0, le=1)]


class CsvFormat(Section):
    """`first_label: names` says that labels are names of classes."""

    name: Literal["csv"]
    label: Name
    first_label: Annotated[int, Field(ge=0, le=1)] | Literal["names"]


class ParquetFormat(Section):
    name: Literal["parquet"]
    image: Name
    label: Name
    first_label: Annotated[int, Field(ge=0, le=1)] | Literal["names"]


class FolderFormat(Section):
    name: Literal["folder"]
    layout: Literal["classes", "splits", "labels.csv"]


Format = Annotated[
    Annotated[IdxFormat, Tag("idx")]
    | Annotated[NpzFormat, Tag("npz")]
    | Annotated[CsvFormat, Tag("csv")]
    | Annotated[ParquetFormat, Tag("parquet")]
    | Annotated[FolderFormat, Tag("folder")],
    Field(discriminator="name"),
]

# The files of each format, by their roles; a table may come in parts: train, train_2, ...
TABLES = "(all|train|validation|test)(_[0-9]{1,9})?"
ROLES = {
    "idx": "(train|test)_(images|labels)", "npz": "all", "csv": TABLES, "parquet": TABLES,
    "folder": "all",
}  # fmt: skip
ROLES_IN_WORDS = {
    "all": "all",
    ROLES["idx"]: "train_images, train_labels, test_images, test_labels",
    TABLES: "all, train, validation or test; of several parts train, train_2, ...",
}
Grey = Annotated[int, Field(ge=0, le=255)]
Background = Annotated[
    Annotated[Grey, Tag("grey")]
    | Annotated[list[Grey], Field(min_length=3, max_length=3), Tag("rgb")],
    Discriminator(lambda value: "rgb" if isinstance(value, list) else "grey"),
]


class Images(Section):
    """How an image is brought to the network's size; sizes in pixels."""

    height: Annotated[int, Field(ge=4, le=1024)]
    width: Annotated[int, Field(ge=4, le=1024)]
    colour: Literal["grey", "rgb"]
    fit: Literal["pad", "crop", "stretch", "ink"]
    background: Background

    @model_validator(mode="after")
    def background_of_that_colour(self) -> Self:
        if isinstance(self.background, list) != (self.colour == "rgb"):
            expected = "[red, green, blue]" if self.colour == "rgb" else "one number"
            raise ValueError(
                f"background: expected {expected}, as colour is {self.colour}; "
                f"found {self.background}"
            )
        if self.fit == "ink" and self.colour != "grey":
            raise ValueError("fit: ink is for grey images; found colour: rgb")
        return self


class Splits(Section):
    test_fraction: Share
    test_split: Literal["tail", "random", "stratified", "grouped"]
    group: Name | Literal[""]  # "" is none: DVC writes null in two ways


class Dataset(Section):
    title: Name
    classes: Annotated[list[Name], Field(min_length=2, max_length=1000)]
    class_axis: Name
    format: Format
    files: Annotated[dict[str, DataFile], Field(min_length=1)]
    sources: list[Annotated[str, Field(pattern=r"^(https?://|npm:)[^{}]+\{name\}[^{}]*$")]]
    images: Images
    splits: Splits
    skip_bad: bool
    licence: str
    citation: str

    @field_validator("classes")
    @classmethod
    def a_name_for_each_class(cls, classes: list[str]) -> list[str]:
        counts = Counter(classes)
        wrong = [name for name, count in counts.items() if count > 1]
        if wrong:
            raise ValueError(f"expected a name of its own for each class, found {wrong} again")
        return classes

    @model_validator(mode="after")
    def files_of_the_format(self) -> Self:
        pattern = ROLES[self.format.name]
        wrong = [role for role in self.files if not re.fullmatch(pattern, role)]
        if wrong:
            raise ValueError(
                f"files: for the format {self.format.name} expected {ROLES_IN_WORDS[pattern]}; "
                f"found {', '.join(wrong)}"
            )
        if self.format.name == "idx":
            for split in ("train", "test"):
                pair = {f"{split}_images", f"{split}_labels"}
                if len(pair & set(self.files)) == 1 or (
                    split == "train" and not pair & set(self.files)
                ):
                    raise ValueError(f"files: expected both of {sorted(pair)}")
        counted = [role for role, file in self.files.items() if isinstance(file, OwnImages)]
        own = [role for role, file in self.files.items() if isinstance(file, OwnFile)]
        if self.format.name == "folder" and own:
            raise ValueError(f"files.{own[0]}: expected a count of its images beside its name")
        if self.format.name != "folder" and counted:
            raise ValueError(f"files.{counted[0]}: only the format folder has a count")
        return self

    @model_validator(mode="after")
    def a_group_to_split_by(self) -> Self:
        group = self.splits.group
        if self.splits.test_split == "grouped" and not group:
            raise ValueError("splits.test_split: grouped, but splits.group says no group")
        if group and self.format.name in ("idx", "npz"):
            raise ValueError(f'splits.group: the format {self.format.name} has no groups; write ""')
        if group and group != "group" and self.format.name == "folder":
            try:
                pairs = re.compile(group).groups
            except (re.error, RecursionError, OverflowError) as fault:
                raise ValueError(f"splits.group: {group!r} is no pattern: {fault}") from None
            if pairs != 1:
                raise ValueError(
                    "splits.group: expected the column group, or a pattern over paths with one "
                    f"pair of parentheses around what images of a group share; found {group!r}"
                )
        return self


class NamedDataset(Dataset):
    folder: str  # of data/, which dataset.yaml need not say


def shipped_value(key: str) -> Any:
    """The article's value of a key: for a params.yaml that is older than the key."""
    recipes: Any = read_yaml(RECIPES) if RECIPES.exists() else {}
    return get_value(recipes.get(BASE_RECIPE), key)


def read_sections(params: Path = PARAMS, data: Path = DATA) -> dict[str, Any]:
    """Every section of params.yaml by name; `dataset` is what the chosen dataset.yaml says.

    Raises UserError with every problem of a file in one message.
    """
    values = validate(Params, read_yaml(params), params, shipped_value)
    known = sorted(file.parent.name for file in data.glob("*/dataset.yaml"))
    if values.dataset not in known:
        raise UserError(
            f"{params}: dataset: found '{values.dataset}', expected a folder of {data}/ that has a "
            f"dataset.yaml: {' | '.join(known) or 'there is none'}"
        )
    path = data / values.dataset / "dataset.yaml"
    dataset = validate(Dataset, read_yaml(path), path)
    if values.preprocess.split == "grouped" and not dataset.splits.group:
        raise UserError(
            f"{params}: preprocess.split: found grouped, but {path} says no group: name a column "
            "or a pattern in its splits.group, or choose another split"
        )
    sections: dict[str, Any] = as_attributes(values.model_dump())
    named = dataset.model_dump() | {"folder": values.dataset}
    return vars(sections) | {"dataset": as_attributes(named)}
