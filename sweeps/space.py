"""sweeps/params.yaml as typed, checked sections: the space, and what each trial starts from."""

import itertools
import json
import math
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from stages.run.keys import get_value, set_value
from stages.run.params import PARAMS, SEEDS, Params, Seed
from stages.run.yaml_files import Section, read_yaml, validate
from stages.shared.errors import UserError

SWEEP = Path("sweeps/params.yaml")
SECTIONS = ("train", "model")  # what a training takes; other values change its arrays
CORNERS = 100_000  # combinations of a section's extremes that are checked: seconds

Values = dict[str, Any]
Number = int | float


class Dimension(Section):
    """Numbers from low to high, both included, or one of the choices."""

    low: Number | None = None
    high: Number | None = None
    log: bool = False
    integer: bool = False
    choices: Annotated[list[Any], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def range_or_choices(self) -> Self:
        if self.choices is not None:
            if self.model_fields_set != {"choices"}:
                raise ValueError("has choices and a range: give one of them")
            return self
        if self.low is None or self.high is None or self.low >= self.high:
            raise ValueError("expected low and high, low below high, or choices")
        if self.log and self.low <= 0:
            raise ValueError(f"log: expected low above 0, found {self.low}")
        if self.integer and not all(isinstance(end, int) for end in (self.low, self.high)):
            raise ValueError(f"integer: expected whole numbers, found {self.low} and {self.high}")
        return self

    @property
    def ends(self) -> list[Any]:
        """The extremes of the range, as the search draws its values, or every choice."""
        if self.choices is not None:
            return self.choices
        kind = int if self.integer else float
        return [kind(end) for end in (self.low, self.high) if end is not None]

    def place(self, value: Any) -> float:
        """Where in the range the value is, from 0 to 1: even by ratio if `log`."""
        if self.choices is not None:
            return self.choices.index(value) / max(1, len(self.choices) - 1)
        low, high, at = (math.log(x) if self.log else x for x in (*self.ends, value))
        return (at - low) / (high - low)

    def holds(self, value: Any) -> bool:
        if self.choices is not None:
            return value in self.choices
        low, high = self.ends
        return isinstance(value, Number) and bool(low <= value <= high)

    def as_written(self, value: Any) -> Any:
        """A value that it holds as it stands here, by which the search knows it: 0 for 0.0."""
        return value if self.choices is None else self.choices[self.choices.index(value)]


class Scheduler(Section):
    epochs: Annotated[int, Field(ge=1, le=10_000)]
    grace: Annotated[int, Field(ge=1)]
    reduction: Annotated[int, Field(ge=2, le=100)]

    @model_validator(mode="after")
    def grace_within_epochs(self) -> Self:
        if self.grace > self.epochs:
            raise ValueError(f"grace is {self.grace} of {self.epochs} epochs: lower it")
        return self


class Sweep(Section):
    space: Annotated[dict[str, Dimension], Field(min_length=1)]
    trials: Annotated[int, Field(ge=1, le=100_000)]
    seeds: Annotated[int, Field(ge=1, le=100)]
    sampler_seed: Seed
    scheduler: Scheduler
    threads: Annotated[int, Field(ge=1, le=1024)]
    memory: Annotated[float, Field(gt=0)]


def read_sweep() -> tuple[Sweep, Values]:
    """The sweep, and the values that its trials start from. Nothing it allows is forbidden.

    Raises UserError with the key of each value that params.py refuses.
    """
    sweep = validate(Sweep, read_yaml(SWEEP), SWEEP)
    start: Any = read_yaml(PARAMS)
    validate(Params, start, PARAMS)
    refuse_start(start, sweep.seeds)
    for key in sweep.space:
        refuse_key(key, start)
    start["train"] |= {"epochs": sweep.scheduler.epochs, "threads": sweep.threads}
    for corner in list_corners(sweep.space):
        refuse_corner(sweep.space, start, corner)
    return sweep, start


def refuse_start(start: Values, seeds: int) -> None:
    """A trial is one network for each seed and needs a validation score."""
    if start["seed"] + seeds > SEEDS:
        raise UserError(
            f"{SWEEP}: seeds: found {seeds}, which follow the seed {start['seed']} of {PARAMS}; "
            f"expected the last one to be at most {SEEDS - 1}: lower either"
        )
    if start["train"]["members"] > 1:
        raise UserError(
            f"{PARAMS}: train.members: found {start['train']['members']}, expected 1: a sweep "
            "compares single networks. Set it to 1, and back once the best values are applied."
        )
    if start["train"]["refit"]:
        raise UserError(
            f"{PARAMS}: train.refit: found true, expected false: with it there are no validation "
            "scores to compare. Set it to false, and back once the best values are applied."
        )


def refuse_key(key: str, start: Values) -> None:
    place = f"{SWEEP}: space.{key}"
    if key in ("train.members", "train.refit"):
        raise UserError(f"{place}: a trial is a single network with a validation score: remove it")
    if key == "train.threads":
        raise UserError(f"{place}: `threads` gives the threads of every trial: remove it")
    if key == "train.epochs":
        raise UserError(f"{place}: scheduler.epochs gives the epochs of every trial: remove it")
    if key.partition(".")[0] not in SECTIONS:
        raise UserError(
            f"{place}: expected a key of train or model in {PARAMS}: "
            "trials share the arrays and the seeds"
        )
    if not isinstance(get_value(start, key.rpartition(".")[0]), dict):
        raise UserError(
            f"{place}: expected a key of {PARAMS}: a list is swept as a whole, by choices"
        )
    if isinstance(section := get_value(start, key), dict):
        raise UserError(f"{place}: a whole section; name its keys: {', '.join(section)}")


def refuse_corner(space: dict[str, Dimension], start: Values, corner: Values) -> None:
    """What params.py refuses of it; and the remedy if only whole numbers are allowed there."""
    try:
        validate(Params, with_values(start, corner), SWEEP)
    except UserError as error:
        ranges = [key for key, dimension in space.items() if dimension.choices is None]
        fractions = [key for key in ranges if f"{key}: should be a valid integer" in str(error)]
        hints = [f"  space.{key}: whole numbers alone: add integer: true" for key in fractions]
        raise UserError("\n".join([str(error), *hints])) from None


def list_corners(space: dict[str, Dimension]) -> Iterator[Values]:
    """Every combination of extremes and choices of the keys that stand in the same section.

    params.py's limits hold for a single value or between values of one section, and none of them
    has a gap: a space whose corners are allowed is allowed.
    """
    firsts = {key: dimension.ends[0] for key, dimension in space.items()}
    sections: dict[str, list[str]] = {}
    for key in space:
        sections.setdefault(key.rpartition(".")[0], []).append(key)
    for section, keys in sections.items():
        count = math.prod(len(space[key].ends) for key in keys)
        if count > CORNERS:
            raise UserError(
                f"{SWEEP}: space: {count} combinations of extremes and choices in {section}, "
                f"expected at most {CORNERS}: give fewer keys or choices"
            )
        for ends in itertools.product(*(space[key].ends for key in keys)):
            yield firsts | dict(zip(keys, ends, strict=True))


def with_values(start: Values, values: Values) -> Values:
    """`start` with other values for keys such as train.learning_rate."""
    result = deepcopy(start)
    for key, value in values.items():
        set_value(result, key, value)
    return result


def encode_choices(space: dict[str, Dimension], values: Values) -> Values:
    """Values as the search handles them: a choice, which may be a list, as JSON."""
    return {
        key: value if space[key].choices is None else json.dumps(value)
        for key, value in values.items()
    }


def decode_choices(space: dict[str, Dimension], values: Values) -> Values:
    """The reverse of `encode_choices`."""
    return {
        key: value if space[key].choices is None else json.loads(value)
        for key, value in values.items()
    }


def starting_point(space: dict[str, Dimension], start: Values) -> list[Values]:
    """The values that params.yaml has, for the first trial, if the space holds them all."""
    values = {key: get_value(start, key) for key in space}
    if not all(space[key].holds(value) for key, value in values.items()):
        return []
    return [{key: space[key].as_written(value) for key, value in values.items()}]
