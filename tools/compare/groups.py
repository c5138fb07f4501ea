"""Two recipes, each run with several seeds: is one better by more than seeds make a difference?"""

from dataclasses import replace

import numpy as np

from stages.shared.errors import UserError
from tools.compare.metrics import METRICS
from tools.compare.page import (
    Page,
    Row,
    Table,
    common_notes,
    count_common,
    describe_common,
    differences_of,
    format_interval,
    score_table,
    shorten_values,
    what_differs,
)
from tools.compare.statistics import welch
from tools.compare.verdicts import SAME, verdict
from tools.shared.git import list_experiments
from tools.shared.paths import ARRAYS, PROBABILITIES
from tools.shared.predictions import Predictions
from tools.shared.revisions import Revision, differing_keys

SEED_KEY = "seed"  # the key that tells the runs of a group apart
GROUP_NOTES = [
    "This is about the recipes, on these images: the spread is the one that seeds make.",
    """A verdict needs p < 0.05. p and intervals: Welch's t test, one value a run. "no evidence"
    is short for "no evidence of a difference".""",
]


def list_runs(names: list[str]) -> list[str]:
    """The runs that names stand for; one with a * is a pattern of experiments' names."""
    runs: list[str] = []
    for name in names:
        found = (
            sorted(ref.rsplit("/", 1)[1] for ref in list_experiments(name))
            if "*" in name
            else [name]
        )
        if not found:
            raise UserError(f"--group {name}: expected experiments of such names, found none.")
        runs += dict.fromkeys(found)
    return runs


def compare_groups(predictions: Predictions, size: int, split: str) -> Page:
    """The page about two recipes: the first `size` runs are group A, the others group B.

    Raises UserError unless the runs of a group differ in their seed, and in nothing else.
    """
    revisions, probabilities, labels, common = predictions
    group_a, group_b = revisions[:size], revisions[size:]
    refuse_mixture("A", group_a)
    refuse_mixture("B", group_b)
    refuse_repeats(revisions, str(PROBABILITIES[split]))
    values = {
        metric.name: [float(metric.value(metric.columns(p, labels).mean(0))) for p in probabilities]
        for metric in METRICS
    }
    rows = [
        score_row(m.name, m.higher_is_better, values[m.name][:size], values[m.name][size:])
        for m in METRICS
    ]
    runs = [
        {"run": run.name, "commit": run.commit, "group": "A" if number < size else "B"}
        | {"seed": run.params["seed"]}
        | {name: of_run[number] for name, of_run in values.items()}
        for number, run in enumerate(revisions)
    ]
    firsts = {"the runs of A": 0, "those of B": size}  # the others of a group have its data
    shared = describe_common(common, firsts, split) if common else []
    recipes = [without_seed(group[0]) for group in (group_a, group_b)]
    counts = f"{len(group_b)} runs of recipe B against {len(group_a)} of recipe A"
    return Page(
        title=f"{counts}, {len(labels):,} {split} images",
        verdict=rows[0]["verdict"],
        answer=[describe_mean_accuracy(rows[0]), *shared],
        tables=[what_differs(*recipes), score_table(rows), run_table(runs, rows)],
        notes=[*GROUP_NOTES, *untestable_note(rows), *common_notes(revisions, split)],
        data={
            "split": split,
            "images": len(labels),
            **({"common": count_common(common)} if common else {}),
            **differences_of(*recipes),
            "runs": runs,
            "metrics": rows,
        },
    )


def without_seed(run: Revision) -> Revision:
    """The recipe of a run: all but its seed."""
    return replace(run, params={key: v for key, v in run.params.items() if key != SEED_KEY})


def refuse_mixture(letter: str, group: list[Revision]) -> None:
    """Raise UserError unless the runs are several and differ in their seeds alone."""
    first, *others = group
    if not others:
        raise UserError(
            f"group {letter}: expected two runs or more, found {first.name} alone. Five seeds say "
            "more than two: `dvc exp run -n NAME -S seed=1`, and so on."
        )
    for run in others:
        a, b = without_seed(first), without_seed(run)
        params = [
            f"{key}: {' and '.join(shorten_values(a.params.get(key), b.params.get(key)))}"
            for key in differing_keys(a.params, b.params)
        ]
        data = [path for path in ARRAYS if a.made.get(path) != b.made.get(path)]
        keys = "; ".join([*params, *differing_keys(a.code, b.code), *data])
        if keys:
            raise UserError(
                f"group {letter}: expected runs that differ in seed alone, found that {first.name} "
                f"and {run.name} differ in {keys}. Put them into different groups."
            )
    seeds = [run.params[SEED_KEY] for run in group]
    if len(set(seeds)) < len(seeds):
        raise UserError(f"group {letter}: expected a seed of its own for each run, found {seeds}.")


def refuse_repeats(runs: list[Revision], path: str) -> None:
    """Raise UserError if a run stands in both groups, perhaps under two names."""
    seen: dict[str, str] = {}
    for run in runs:
        if other := seen.get(run.made[path]):
            raise UserError(
                f"{other} and {run.name} have the same predictions, bit for bit: they are one run. "
                "Name it once."
            )
        seen[run.made[path]] = run.name


def score_row(name: str, higher_is_better: bool, a: list[float], b: list[float]) -> Row:
    """A metric's mean and standard deviation in both groups, and Welch's test of the means."""
    estimate = welch(a, b)
    deviations = {
        f"{letter}_deviation": float(np.std(x, ddof=1)) for letter, x in (("a", a), ("b", b))
    }
    return {
        "metric": name,
        "a": float(np.mean(a)),
        "b": float(np.mean(b)),
        **deviations,
        **estimate._asdict(),
        "verdict": verdict(estimate.difference, estimate.p, higher_is_better),
    }


def untestable_note(rows: list[Row]) -> list[str]:
    names = [row["metric"] for row in rows if row["p"] is None]
    return [f"? is for {', '.join(names)}: without a spread no test can be made."] if names else []


def describe_mean_accuracy(accuracy: Row) -> str:
    same = accuracy["verdict"] == SAME
    said = f"There is {SAME}" if same else f"Recipe B is {accuracy['verdict']} than recipe A"
    values = f"{accuracy['a']:.4f} -> {accuracy['b']:.4f}"
    return f"{said}: mean accuracy {values}, {format_interval(accuracy)}."


def run_table(runs: list[Row], rows: list[Row]) -> Table:
    """Every run; below, of each group, the mean and the standard deviation."""
    names = [row["metric"] for row in rows]
    lines = [
        [run["run"], run["group"], str(run["seed"]), *(f"{run[name]:.4f}" for name in names)]
        for run in runs
    ]
    for letter in "ab":
        for title, key in (("mean", letter), ("standard deviation", f"{letter}_deviation")):
            lines.append([title, letter.upper(), "", *(f"{row[key]:.4f}" for row in rows)])
    titles = [name.replace("_", "\n") for name in names]  # on one line they exceed 80 columns
    return Table("Runs", ["run", "group", "seed", *titles], lines)
