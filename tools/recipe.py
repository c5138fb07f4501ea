"""python -m tools.recipe NAME: write a recipe's values into params.yaml, whose comments stay.

A recipe is a block shaped like params.yaml, in recipes.yaml or, with `--file`, in another such
file, as a sweep writes one. What it does not name is the article's; null is the present value.
Values of other sections (seed, preprocess, plots) stay. Without NAME the recipes are listed.

    dvc exp run $(python -m tools.recipe NAME --overrides)     # the same, without an edit
"""

import argparse
import io
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from stages.run.keys import flatten, get_value, set_value
from stages.run.params import BASE_RECIPE, PARAMS, RECIPES, Params
from stages.run.yaml_files import read_yaml, validate
from stages.shared.atomic_write import atomic_write
from stages.shared.errors import UserError
from tools.shared.command_line import make_parser

Values = dict[str, Any]


class Edit(NamedTuple):
    """params.yaml before and after, as text, and the values that change."""

    before: str
    after: str
    changed: Values


def main() -> None:
    asked = parse_arguments(sys.argv[1:])
    try:
        if asked.overrides:
            print(*list_overrides(read_recipe(asked.name, asked.file)))
        elif not asked.name:
            print(*read_recipes(asked.file), sep="\n")
        else:
            write_values(read_recipe(asked.name, asked.file))
    except (UserError, OSError) as error:
        if asked.overrides:  # a shell's $(...) loses the failure: dvc exp run must refuse this
            print(f"--no-recipe={asked.name}")
        sys.exit(f"recipe: {error}")


def parse_arguments(words: list[str]) -> argparse.Namespace:
    parser = make_parser("tools.recipe", __doc__)
    parser.add_argument(
        "name", nargs="?", default="", metavar="NAME", help="a recipe; without it, list them"
    )
    parser.add_argument("--file", type=Path, default=RECIPES, help=f"default: {RECIPES}")
    parser.add_argument("--overrides", action="store_true", help="print arguments for dvc exp run")
    return parser.parse_args(words)


def read_recipes(path: Path) -> dict[str, Values]:
    if path != RECIPES and not path.exists():
        raise UserError(f"{path}: expected a file of recipes such as {RECIPES}, found none")
    recipes = read_yaml(path)
    if not isinstance(recipes, dict) or not all(isinstance(r, dict) for r in recipes.values()):
        raise UserError(f"{path}: expected blocks shaped like {PARAMS}, each under its name")
    return recipes


def read_recipe(name: str, path: Path = RECIPES) -> Values:
    """A recipe's values by key, such as train.epochs, the article's where it names none.

    Raises UserError if there is none of that name, or if params.yaml would not be right with it.
    """
    recipes = read_recipes(path)
    if name not in recipes:
        names = ", ".join(map(str, recipes))
        raise UserError(f"{name or 'no NAME'}: expected a recipe of {path}: {names}")
    base = read_recipes(RECIPES)
    if BASE_RECIPE not in base:
        raise UserError(f"{RECIPES}: expected a recipe {BASE_RECIPE}: the others change its values")
    values = flatten("", base[BASE_RECIPE]) | flatten("", recipes[name])
    whole: Any = read_yaml(PARAMS)
    validate(Params, whole, PARAMS)
    place = Path(f"{path}, recipe {name}")
    for key, value in values.items():
        if value is None:
            values[key] = get_value(whole, key)
        section = key.rpartition(".")[0]
        if section and not isinstance(get_value(whole, section), dict):
            raise UserError(f"{place}: {key}: expected a key of {PARAMS}")
        set_value(whole, key, values[key])
    validate(Params, whole, place)
    return values


def write_values(values: Values) -> None:
    """Write the values into params.yaml; print those that were others before."""
    edit = edit_params(values)
    write_params(edit)
    for key, value in edit.changed.items():
        print(f"{key}: {json.dumps(value)}")
    if edit.changed:
        print(f"{PARAMS}: {len(edit.changed)} changed; `dvc repro` runs with them")
    else:
        print(f"{PARAMS} has these values already")


def edit_params(values: Values) -> Edit:
    """What params.yaml becomes with the values, its comments kept; nothing is written."""
    yaml = YAML()  # keeps comments and order
    yaml.default_flow_style = False  # a list has one value a line, as `dvc exp run -S` writes it
    yaml.preserve_quotes = True
    yaml.width = 100
    before = PARAMS.read_text(encoding="utf-8")
    whole = yaml.load(before)
    changed = select_changes(whole, values)
    for key, value in changed.items():
        set_value(whole, key, value)
    text = io.StringIO()
    yaml.dump(whole, text)
    return Edit(before, text.getvalue() if changed else before, changed)


def write_params(edit: Edit) -> None:
    """Write params.yaml, if anything changes."""
    if edit.changed:
        with atomic_write(PARAMS) as file:
            file.write(edit.after.encode())


def select_changes(whole: Any, values: Values) -> Values:
    """The values that the file has not yet; true is not 1."""
    found = {key: get_value(whole, key) for key in values}
    return {
        key: value
        for key, value in values.items()
        if found[key] != value or isinstance(found[key], bool) != isinstance(value, bool)
    }


def list_overrides(values: Values) -> list[str]:
    """Arguments of `dvc exp run` for the values that are not those of params.yaml."""
    whole: Any = read_yaml(PARAMS)
    return [
        f"-S {key}={as_override(value)}" for key, value in select_changes(whole, values).items()
    ]


def as_override(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


if __name__ == "__main__":
    main()
