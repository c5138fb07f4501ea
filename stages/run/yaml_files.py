"""YAML files as typed, checked sections: every problem in one message, none of it a traceback."""

import json
import re
import reprlib
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Tag, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.tokens import TagToken

from stages.shared.errors import UserError

Kind = TypeVar("Kind")


class Section(BaseModel):
    """Exact types only: no "5" for 5, no key too many, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def read_yaml(path: Path) -> object:
    """The file as DVC reads it (YAML 1.2: 1e-05 is a number), without tags or duplicate keys."""
    try:
        return deepcopy(parse_yaml(path.read_text(encoding="utf-8"), path))
    except FileNotFoundError:
        raise UserError(f"{path} is missing: `git checkout -- {path}` brings it back") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: expected UTF-8 text: {error}") from None
    except (YAMLError, RecursionError, ValueError, LookupError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error) or type(error).__name__
        raise UserError(f"{path}{line}: not readable as YAML: {problem}") from None


@cache  # a stage reads its few files again and again, which takes a tenth of a second each time
def parse_yaml(text: str, path: Path) -> object:
    yaml = YAML(typ="safe", pure=True)
    tags = [token for token in yaml.scan(text) if isinstance(token, TagToken)]
    if tags:
        place = f"{path}, line {tags[0].start_mark.line + 1}"
        raise UserError(f"{place}: a YAML tag (!...) is not allowed; remove it")
    return yaml.load(text)


def validate(
    kind: type[Kind], values: object, path: Path, shipped: Callable[[str], Any] = lambda _key: None
) -> Kind:
    """`values` as a `kind`; UserError names each problem's place, what was found and expected.

    `shipped` gives the value that the project ships for a key, None without one: what to add where
    a key is missing.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
        lines = [f"  {describe_problem(kind, values, error, shipped)}" for error in errors]
        count = f"{len(lines)} problem{'s' if len(lines) > 1 else ''}"
        raise UserError("\n".join([f"{path} has {count}:", *lines])) from None


def describe_problem(
    kind: Any, values: object, error: Any, shipped: Callable[[str], Any] = lambda _key: None
) -> str:
    """One problem in words: its place in the file, what is expected there, what was found."""
    place = place_in_file(values, error)
    found = short_repr(error["input"])
    match error["type"]:
        case "missing":
            value = shipped(place)
            line = "" if value is None else f": `{error['loc'][-1]}: {write_on_one_line(value)}`"
            return f"{place}: missing; add it{line}"
        case "extra_forbidden":
            return f"{place}: unknown key; expected one of {allowed_keys(kind, error['loc'][:-1])}"
        case "value_error":
            return f"{place}: {error['ctx']['error']}"
        case "union_tag_not_found":
            return f"{place}.{error['ctx']['discriminator'].strip(chr(39))}: missing; add it"
        case "union_tag_invalid":
            key = error["ctx"]["discriminator"].strip("'")
            found = short_repr(error["input"][key])
            return f"{place}.{key}: should be one of {error['ctx']['expected_tags']}, found {found}"
    message = error["msg"].replace("Input should", "should").replace(" after validation", "")
    message = re.sub(" or (instance of|object to extract) .*", "", message)
    return f"{place}: {message}, found {found}"


def write_on_one_line(value: object) -> str:
    """A value as YAML writes it within a line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {write_on_one_line(v)}" for key, v in value.items()) + "}"
    return value if isinstance(value, str) else json.dumps(value)


def place_in_file(values: Any, error: Any) -> str:
    """The keys on the way to a problem, without pydantic's names for what is chosen by a value."""
    keys = []
    *way, last = error["loc"] or ("the file",)
    for key in way:
        if is_key(values, key):
            keys.append(key)
            values = values[key]
    if is_key(values, last) or error["type"] == "missing" or not error["loc"]:
        keys.append(last)
    return ".".join(map(str, keys))


def is_key(values: Any, key: str | int) -> bool:
    if isinstance(values, list):
        return isinstance(key, int) and key < len(values)
    return isinstance(values, dict) and key in values


def short_repr(value: object) -> str:
    """A value in short; Python refuses to write a number of thousands of digits."""
    try:
        return reprlib.repr(value)
    except ValueError:
        return "a number of too many digits"


def allowed_keys(kind: Any, place: tuple[str | int, ...]) -> str:
    for key in place:
        kind = kind_at(kind, key)
    return ", ".join(kind.model_fields)


def kind_at(kind: Any, key: str | int) -> Any:
    """The type of the value at a key of `kind`; of a choice of types, the one with that tag."""
    if hasattr(kind, "model_fields"):
        return kind.model_fields[str(key)].annotation
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) is dict:
        return get_args(kind)[1]
    if get_origin(kind) is list:
        return get_args(kind)[0]
    tagged = {
        part.tag: get_args(choice)[0]
        for choice in get_args(kind)
        for part in get_args(choice)[1:]
        if isinstance(part, Tag)
    }
    return tagged[str(key)]
