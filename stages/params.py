"""params.yaml and data/catalog.yaml as typed sections, checked before any stage starts.

The checks refuse values and alter none: what a stage gets is what the file says. There are no
defaults here; params.yaml holds every value.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, field_validator, model_validator

from stages import StageError
from stages.checking import Section, checked, read_yaml

PARAMS = Path("params.yaml")
CATALOG = Path("data/catalog.yaml")

Block = TypeVar("Block")
SEEDS = 2**32  # NumPy and Keras take those below
Seed = Annotated[int, Field(ge=0, lt=SEEDS)]
Share = Annotated[float, Field(ge=0, lt=1)]
Layers = Annotated[list[Annotated[int, Field(ge=1, le=16_384)]], Field(min_length=1)]


class Augmentation(Section):
    rotation: Annotated[float, Field(ge=0, le=180)]
    translation: Annotated[float, Field(ge=0, le=1000)]
    zoom: Share
    shear: Share
    elastic: Annotated[float, Field(ge=0, le=1000)]
    flip: bool

    @property
    def on(self) -> bool:
        return any(value for _, value in self)


class Train(Section):
    epochs: Annotated[int, Field(ge=1, le=10_000)]
    batch_size: Annotated[int, Field(ge=1, le=65_536)]
    learning_rate: Annotated[float, Field(gt=0, le=10)]
    schedule: Literal["constant", "cosine"]
    warmup: Annotated[float, Field(ge=0)]
    label_smoothing: Annotated[float, Field(ge=0, le=0.5)]
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

    @property
    def chosen(self) -> Section:
        """The block of the network that `name` chooses."""
        block: Section = getattr(self, self.name)
        return block


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
    title: str
    classes: Annotated[list[str], Field(min_length=2, max_length=256)]
    class_axis: str
    files: DataFiles
    sources: list[Annotated[str, Field(pattern=r"^(https?://|npm:)[^{}]+\{name\}[^{}]*$")]]
    suspect_test_labels: list[Annotated[int, Field(ge=0)]]
    licence: str
    citation: str

    @field_validator("classes")
    @classmethod
    def a_name_for_each_class(cls, classes: list[str]) -> list[str]:
        wrong = [name for name in classes if not name or classes.count(name) > 1]
        if wrong:
            raise ValueError(f"expected a name of its own for each class, found {wrong}")
        return classes


def read_sections(params: Path = PARAMS, catalog: Path = CATALOG) -> dict[str, Any]:
    """Every section of params.yaml by name, `dataset` replaced by its block of the catalog.

    Raises StageError with every problem of a file in one message.
    """
    values = checked(Params, read_yaml(params), params)
    datasets = checked(dict[str, Dataset], read_yaml(catalog), catalog)
    if values.dataset not in datasets:
        raise StageError(
            f"{params}: dataset: found '{values.dataset}', "
            f"expected a block of {catalog}: {' | '.join(datasets)}"
        )
    sections: dict[str, Any] = {name: getattr(values, name) for name in Params.model_fields}
    return sections | {"dataset": datasets[values.dataset]}
