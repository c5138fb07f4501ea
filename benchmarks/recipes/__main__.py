"""python -m benchmarks.recipes [RECIPE ...]: measure recipes with several seeds, on test images.

Each run trains and evaluates as `dvc repro` does, with the last commit's files, one after the
other; nothing else should run beside it. Commit recipes.yaml first. A finished run is a row of
benchmarks/recipes/recipes.csv; a run whose values have a row is not repeated: remove rows of
older code first. `--table` only writes the README's table.
`--spread THREADS` runs them on Ray, with that many threads each: as many at once as this machine
carries, or the cluster at RAY_ADDRESS (docs/scale.md); the seconds are then those of that many.
"""

import argparse
import csv
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks.machine import ROOT
from benchmarks.needed import need
from benchmarks.recipes.run import SPREAD, RecipeRun, measure_recipe
from stages.shared.errors import UserError
from tools.recipe import read_recipe, read_recipes
from tools.shared.command_line import make_parser
from tools.shared.marks import replace_between_marks

RESULTS = Path(__file__).with_name("recipes.csv")
README = ROOT / "README.md"
COLUMNS = (
    "dataset", "recipe", "values", "seed", "accuracy", "accuracy_trusted", "parameters",
    "epochs", "threads", "train_seconds", "machine", "versions",
)  # fmt: skip
RUNS, RUNS_OF_ENSEMBLES = 5, 2
ENSEMBLE = "ensemble"  # in the name of a recipe that takes an hour

# Keys younger than the first rows, with the value that means what was done before there was a key.
SINCE_THEN = {"train.class_weight": "none", "train.keep": "last", "train.patience": 0}

CsvRow = dict[str, str]
Values = dict[str, Any]  # by key, such as train.epochs


def main() -> None:
    parser = make_parser("benchmarks.recipes", __doc__)
    parser.add_argument("recipes", nargs="*", help="default: every recipe of recipes.yaml")
    parser.add_argument("--seeds", nargs="+", type=int, help="default: five, two of an ensemble")
    parser.add_argument("--spread", type=count_of_threads, metavar="THREADS", help="run on Ray")
    parser.add_argument("--table", action="store_true", help="only write the README's table")
    asked = parser.parse_args()
    if asked.spread:
        need("ray", "make sweeps")
    try:
        todo = {} if asked.table else missing_runs(asked.recipes, asked.seeds)
        if not (todo or asked.table):
            print(f"Nothing to run: {RESULTS.name} has a row of each run that is asked for")
        for run, found in run_recipes(list(todo), asked.spread):
            append(run, todo[run], found)
            write_table()
            said = f"test accuracy {found['accuracy']}, {found['train_seconds']} s"
            print(f"{run.recipe}, seed {run.seed}: {said}", flush=True)
    except (RuntimeError, UserError) as error:
        sys.exit(f"recipes: {error}")
    write_table()


def count_of_threads(word: str) -> int:
    if not (word.isdecimal() and int(word)):
        raise argparse.ArgumentTypeError(f"expected a number of threads from 1, found {word}")
    return int(word)


def missing_runs(names: list[str], seeds: list[int] | None) -> dict[RecipeRun, Values]:
    """The runs that are asked for and have no row yet, with the values of their recipes.

    Raises UserError if the last commit, with which they would run, has other recipes.
    """
    if git("status", "--porcelain", "recipes.yaml"):
        raise UserError("recipes.yaml has edits that are not committed: commit them first")
    runs = {}
    recipes = read_recipes(ROOT / "recipes.yaml")
    # One for whatever data set is chosen has no score of its own.
    of_a_dataset = [
        name for name, recipe in recipes.items() if recipe.get("dataset", "") is not None
    ]
    for name in names or of_a_dataset:
        values = read_recipe(name)
        asked = [
            RecipeRun(name, seed) for seed in seeds or usual_seeds(name, values["train.members"])
        ]
        runs |= {run: values for run in asked if not has_row(name, values, run.seed)}
    return runs


def usual_seeds(name: str, members: int) -> range:
    """Those of five runs, or of two for a recipe that is called an ensemble: they take an hour.

    The seeds that follow a run's own are those of its other members.
    """
    runs = RUNS_OF_ENSEMBLES if ENSEMBLE in name else RUNS
    return range(0, runs * members, members)


def has_row(name: str, values: Values, seed: int) -> bool:
    wanted = (name, recipe_key(values), str(seed))
    return any((row["recipe"], row["values"], row["seed"]) == wanted for row in read_rows())


def run_recipes(
    todo: list[RecipeRun], threads: int | None
) -> Iterator[tuple[RecipeRun, dict[str, object]]]:
    """Each run with what it gave, as they end: one after the other, or with `threads` on Ray."""
    if not todo:
        return
    with tempfile.TemporaryDirectory() as place:
        commit = Path(place) / "commit"
        git("clone", "--quiet", str(ROOT), str(commit))
        hash_of_commit = git("rev-parse", "--short", "HEAD")
        if threads:
            from benchmarks.recipes.on_ray import run_on_ray  # noqa: PLC0415  # Ray is an extra

            ended = run_on_ray(commit, todo, threads)
        else:
            ended = ((run, measure_recipe(commit, run)) for run in todo)
        for run, found in ended:
            yield run, found | {"versions": f"commit {hash_of_commit} {found['versions']}"}


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def recipe_key(values: Values) -> str:
    """What tells a recipe's values from others that it once had: those of its own network.

    Not the number of threads, which a row names itself.
    """
    network = f"model.{values['model.name']}."
    used = {
        key: value
        for key, value in values.items()
        if not key.startswith("model.") or key.startswith(("model.name", network))
        if key != "train.threads" and SINCE_THEN.get(key) != value
    }
    return hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()[:8]


def read_rows() -> list[CsvRow]:
    if not RESULTS.exists():
        return []
    with RESULTS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def append(run: RecipeRun, values: Values, found: dict[str, object]) -> None:
    row = {
        "dataset": values["dataset"],
        "recipe": run.recipe,
        "values": recipe_key(values),
        "seed": run.seed,
        "epochs": values["train.epochs"],
        **found,
    }
    new = not RESULTS.exists()
    with RESULTS.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


def write_table() -> None:
    """Put the table of the present recipes' runs between the README's marks."""
    text = README.read_text(encoding="utf-8")
    README.write_text(
        replace_between_marks(text, "recipes", "\n".join(table_lines())), encoding="utf-8"
    )


def table_lines() -> Iterator[str]:
    yield "| recipe | parameters | `train`, s | runs | test accuracy | without suspect labels |"
    yield "|:--|--:|--:|--:|--:|--:|"
    for name in read_recipes(ROOT / "recipes.yaml"):
        values = recipe_key(read_recipe(name))
        of_recipe = [row for row in read_rows() if (row["recipe"], row["values"]) == (name, values)]
        if of_recipe:
            cells = [
                name,
                f"{int(of_recipe[0]['parameters']):,}",
                seconds_of_train(of_recipe),
                str(len(of_recipe)),
                mean_and_deviation(of_recipe, "accuracy"),
                mean_and_deviation(of_recipe, "accuracy_trusted"),
            ]
            yield f"| {' | '.join(cells)} |"


def seconds_of_train(of_recipe: list[CsvRow]) -> str:
    """Of runs that had the whole machine."""
    alone = [float(row["train_seconds"]) for row in of_recipe if SPREAD not in row["machine"]]
    return f"{mean(alone):.0f}" if alone else "not measured alone"


def mean_and_deviation(of_recipe: list[CsvRow], score: str) -> str:
    """Of several runs; of one its score."""
    found = [float(row[score]) for row in of_recipe]
    return f"{mean(found):.4f}" + (f" ± {stdev(found):.4f}" if len(found) > 1 else "")


if __name__ == "__main__":
    main()
