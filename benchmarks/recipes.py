"""python -m benchmarks.recipes [RECIPE ...]: measure recipes with several seeds, on test images.

Each run trains and evaluates as `dvc repro` does, in a clone of the last commit, one after the
other; nothing else should run beside it. A finished run is a row of benchmarks/recipes.csv; what
is there already, of the same values, is not run again. `--table` only writes the README's table.
"""

import argparse
import csv
import hashlib
import json
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from tools.recipe import read_recipes, recipe

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks/recipes.csv"
README = ROOT / "README.md"
BEGIN, END = "<!-- recipes: begin -->\n", "<!-- recipes: end -->\n"
COLUMNS = (
    "dataset", "recipe", "values", "seed", "accuracy", "accuracy_trusted", "loss", "parameters",
    "epochs", "train_seconds", "machine", "versions",
)  # fmt: skip
SEEDS, SEEDS_OF_ENSEMBLES = range(5), (0, 100)  # an ensemble takes the seeds that follow its own

Row = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipes", description=__doc__)
    parser.add_argument("recipes", nargs="*", help="default: every recipe of recipes.yaml")
    parser.add_argument("--seeds", nargs="+", type=int, help="default: 0 to 4; 0, 100 of ensembles")
    parser.add_argument("--table", action="store_true", help="only write the README's table")
    asked = parser.parse_args()
    if not asked.table:
        for name in asked.recipes or read_recipes(ROOT / "recipes.yaml"):
            values = recipe(name)
            usual = SEEDS_OF_ENSEMBLES if values["train.members"] > 1 else SEEDS
            for seed in asked.seeds or usual:
                if not known(name, values, seed):
                    append(measured(name, values, seed))
    write_table()


def known(name: str, values: dict[str, Any], seed: int) -> bool:
    wanted = (name, digest(values), str(seed))
    return any((row["recipe"], row["values"], row["seed"]) == wanted for row in rows())


def digest(values: dict[str, Any]) -> str:
    """What tells a recipe's values from others that it once had."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


def rows() -> list[Row]:
    if not RESULTS.exists():
        return []
    with RESULTS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def append(row: Row) -> None:
    new = not RESULTS.exists()
    with RESULTS.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


def measured(name: str, values: dict[str, Any], seed: int) -> Row:
    """Train and evaluate a recipe in a clone; the row that says what came out."""
    with tempfile.TemporaryDirectory() as place:
        clone = Path(place) / "clone"
        run(ROOT, "git", "clone", "--quiet", str(ROOT), str(clone))
        run(clone, sys.executable, "-m", "tools.recipe", name)
        params = (clone / "params.yaml").read_text(encoding="utf-8")
        seeded = re.sub(r"(?m)^seed: \d+", f"seed: {seed}", params)
        (clone / "params.yaml").write_text(seeded, encoding="utf-8")
        stage(clone, "fetch", "data/raw")
        stage(clone, "preprocess", "data/raw", "data/processed")
        print(f"{name}, seed {seed}", flush=True)
        start = time.perf_counter()
        stage(clone, "train", "data/processed", "models", "reports")
        seconds = time.perf_counter() - start
        stage(clone, "evaluate", "models", "data/processed", "reports")
        test = json.loads((clone / "reports/test.json").read_text(encoding="utf-8"))
        validation = json.loads((clone / "reports/validation.json").read_text(encoding="utf-8"))
    row = {
        "dataset": values["dataset"],
        "recipe": name,
        "values": digest(values),
        "seed": seed,
        **{column: test[column] for column in ("accuracy", "accuracy_trusted", "loss")},
        "parameters": validation["parameters"],
        "epochs": values["train.epochs"],
        "train_seconds": f"{seconds:.1f}",
        "machine": machine(),
        "versions": " ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras")),
    }
    print(f"  test accuracy {row['accuracy']}, {seconds:.0f} s", flush=True)
    return {column: str(value) for column, value in row.items()}


def stage(clone: Path, *words: str) -> None:
    run(clone, sys.executable, "-m", "stages.run", *words)


def run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def machine() -> str:
    """The processor's name, or what Python knows of it."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def write_table() -> None:
    """Put the table of the present recipes' runs between the README's marks."""
    text = README.read_text(encoding="utf-8")
    pattern = f"(?<={re.escape(BEGIN)}).*(?={re.escape(END)})"
    table = "\n".join(table_lines())
    README.write_text(
        re.sub(pattern, lambda _: f"\n{table}\n\n", text, flags=re.DOTALL), encoding="utf-8"
    )


def table_lines() -> Iterator[str]:
    yield "| recipe | weights | `train`, s | runs | test accuracy | without suspect labels |"
    yield "|:--|--:|--:|--:|--:|--:|"
    for name in read_recipes(ROOT / "recipes.yaml"):
        values = digest(recipe(name))
        of_recipe = [row for row in rows() if (row["recipe"], row["values"]) == (name, values)]
        if of_recipe:
            cells = [
                name,
                f"{int(of_recipe[0]['parameters']):,}",
                f"{mean(float(row['train_seconds']) for row in of_recipe):.0f}",
                str(len(of_recipe)),
                *(spread(of_recipe, score) for score in ("accuracy", "accuracy_trusted")),
            ]
            yield f"| {' | '.join(cells)} |"


def spread(of_recipe: list[Row], score: str) -> str:
    """The mean and, of several runs, the standard deviation."""
    found = [float(row[score]) for row in of_recipe]
    return f"{mean(found):.4f}" + (f" ± {stdev(found):.4f}" if len(found) > 1 else "")


if __name__ == "__main__":
    main()
