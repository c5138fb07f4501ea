"""YAML files as typed, checked sections: every problem in one message, none of it a traceback."""

import re
import reprlib
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
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
    yaml = YAML(typ="safe", pure=True)
    try:
        text = path.read_text(encoding="utf-8")
        tags = [token for token in yaml.scan(text) if isinstance(token, TagToken)]
        if tags:
            place = f"{path}, line {tags[0].start_mark.line + 1}"
            raise UserError(f"{place}: a YAML tag (!...) is not allowed; remove it")
        return yaml.load(text)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: `git checkout -- {path}` brings it back") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: expected UTF-8 text: {error}") from None
    except (YAMLError, RecursionError, ValueError, LookupError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error) or type(error).__name__
        raise UserError(f"{path}{line}: not readable as YAML: {problem}") from None


def validate(kind: type[Kind], values: object, path: Path) -> Kind:
    """`values` as a `kind`; UserError names each problem's place, what was found and expected."""
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
        lines = [f"  {describe_problem(kind, error)}" for error in errors]
        count = f"{len(lines)} problem{'s' if len(lines) > 1 else ''}"
        raise UserError("\n".join([f"{path} has {count}:", *lines])) from None


def describe_problem(kind: Any, error: Any) -> str:
    """One problem in words: its place in the file, what is expected there, what was found."""
    place = ".".join(map(str, error["loc"])) or "the file"
    found = short_repr(error["input"])
    match error["type"]:
        case "missing":
            return f"{place}: missing; add it"
        case "extra_forbidden":
            return f"{place}: unknown key; expected one of {allowed_keys(kind, error['loc'][:-1])}"
        case "value_error":
            return f"{place}: {error['ctx']['error']}"
    message = re.sub(" or instance of .*", "", error["msg"].replace("Input should", "should"))
    return f"{place}: {message}, found {found}"


def short_repr(value: object) -> str:
    """A value in short; Python refuses to write a number of thousands of digits."""
    try:
        return reprlib.repr(value)
    except ValueError:
        return "a number of too many digits"


def allowed_keys(kind: Any, place: tuple[str | int, ...]) -> str:
    for key in place:
        kind = get_args(kind)[1] if get_origin(kind) is dict else kind.model_fields[key].annotation
    return ", ".join(kind.model_fields)
