"""python -m tools.recipe NAME: write a recipe's values into params.yaml, whose comments stay.

A recipe is a block shaped like params.yaml, in recipes.yaml or, with `--file`, in another such
file, as a sweep writes one. What it does not name is the article's. Values of other sections
(seed, preprocess, plots) stay as they are. Without NAME the recipes are listed.

    dvc exp run $(python -m tools.recipe NAME --overrides)     # the same, without an edit
"""

import argparse
import io
import json
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from stages import StageError
from stages.checking import checked, read_yaml
from stages.files import replacing
from stages.keys import leaves, put, value_at
from stages.params import PARAMS, Params
from tools import command_line

RECIPES = Path("recipes.yaml")
BASE = "article"  # the recipe that the others change

Values = dict[str, Any]


def main() -> None:
    asked = arguments(sys.argv[1:])
    try:
        if asked.overrides:
            print(*overrides(recipe(asked.name, asked.file)))
        elif not asked.name:
            print(*read_recipes(asked.file), sep="\n")
        else:
            apply(recipe(asked.name, asked.file))
    except (StageError, OSError) as error:
        if asked.overrides:  # a shell's $(...) loses the failure: dvc exp run must refuse this
            print(f"--no-recipe={asked.name}")
        sys.exit(f"recipe: {error}")


def arguments(words: list[str]) -> argparse.Namespace:
    parser = command_line.parser("tools.recipe", __doc__)
    parser.add_argument(
        "name", nargs="?", default="", metavar="NAME", help="a recipe; without it, list them"
    )
    parser.add_argument("--file", type=Path, default=RECIPES, help=f"default: {RECIPES}")
    parser.add_argument("--overrides", action="store_true", help="print arguments for dvc exp run")
    return parser.parse_args(words)


def read_recipes(path: Path) -> dict[str, Values]:
    if path != RECIPES and not path.exists():
        raise StageError(f"{path}: expected a file of recipes such as {RECIPES}, found none")
    recipes = read_yaml(path)
    if not isinstance(recipes, dict) or not all(isinstance(r, dict) for r in recipes.values()):
        raise StageError(f"{path}: expected blocks shaped like {PARAMS}, each under its name")
    return recipes


def recipe(name: str, path: Path = RECIPES) -> Values:
    """A recipe's values by key, such as train.epochs, the article's where it names none.

    Raises StageError if there is none of that name, or if params.yaml would not be right with it.
    """
    recipes = read_recipes(path)
    if name not in recipes:
        names = ", ".join(map(str, recipes))
        raise StageError(f"{name or 'no NAME'}: expected a recipe of {path}: {names}")
    base = read_recipes(RECIPES)
    if BASE not in base:
        raise StageError(f"{RECIPES}: expected a recipe {BASE}: the others change its values")
    values = leaves("", base[BASE]) | leaves("", recipes[name])
    whole: Any = read_yaml(PARAMS)
    checked(Params, whole, PARAMS)
    place = Path(f"{path}, recipe {name}")
    for key, value in values.items():
        section = key.rpartition(".")[0]
        if section and not isinstance(value_at(whole, section), dict):
            raise StageError(f"{place}: {key}: expected a key of {PARAMS}")
        put(whole, key, value)
    checked(Params, whole, place)
    return values


def apply(values: Values) -> None:
    """Write the values into params.yaml; print those that were others before."""
    yaml = YAML()  # keeps comments and order
    yaml.preserve_quotes = True
    yaml.width = 100
    whole = yaml.load(PARAMS.read_text(encoding="utf-8"))
    changed = changes(whole, values)
    for key, value in changed.items():
        put(whole, key, in_one_line(value))
    text = io.StringIO()
    yaml.dump(whole, text)
    with replacing(PARAMS) as file:
        file.write(text.getvalue().encode())
    for key, value in changed.items():
        print(f"{key}: {json.dumps(value)}")
    if changed:
        print(f"{PARAMS}: {len(changed)} changed; `dvc repro` runs with them")
    else:
        print(f"{PARAMS} has these values already")


def changes(whole: Any, values: Values) -> Values:
    """The values that the file has not yet; true is not 1."""
    found = {key: value_at(whole, key) for key in values}
    return {
        key: value
        for key, value in values.items()
        if found[key] != value or isinstance(found[key], bool) != isinstance(value, bool)
    }


def in_one_line(value: Any) -> Any:
    if isinstance(value, list):
        value = CommentedSeq(value)
        value.fa.set_flow_style()
    return value


def overrides(values: Values) -> list[str]:
    """Arguments of `dvc exp run` for the values that are not those of params.yaml."""
    whole: Any = read_yaml(PARAMS)
    return [f"-S {key}={without_spaces(value)}" for key, value in changes(whole, values).items()]


def without_spaces(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


if __name__ == "__main__":
    main()
