"""python -m tools.experiments: the DVC experiments here, what each changed, how it scored.

Each block starts with a commit; its experiments follow, the oldest first. `changed` lists the
values of params.yaml that differ from that commit's. The scores are those on the validation
images. `dvc queue status` lists what has not run yet.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stages.run.failures import failures_in_one_line
from stages.run.keys import flatten
from stages.run.params import PARAMS
from tools.shared.command_line import make_parser
from tools.shared.git import (
    WHOLE_HISTORY,
    baseline_of,
    git_output,
    is_shallow,
    list_experiments,
)
from tools.shared.paths import METRIC_FILES
from tools.shared.revisions import differing_keys, read_yaml_at

SCORES = ("accuracy", "loss")
ODD_PATH = re.compile(r"%[0-9A-Fa-f]{2}|[#?]|[^\x00-\x7F]")  # DVC takes a path for a URL


def main() -> None:
    make_parser("tools.experiments", __doc__).parse_args()
    with failures_in_one_line("experiments"):
        console = Console(highlight=False)
        experiments = list_experiments("*", "--sort=creatordate")
        if experiments:
            console.print(draw_table(experiments))
        else:
            print("No experiment has run here: `dvc exp run --name NAME -S KEY=VALUE` runs one.")
        for note in notes_of_clone():
            console.print(Text(f"note: {note}"))


def draw_table(experiments: dict[str, str]) -> Table:
    """A row for each experiment, below one for the commit that it started from."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("experiment", overflow="fold")
    table.add_column("commit", no_wrap=True)
    for score in SCORES:
        table.add_column(score, justify="right", no_wrap=True)
    table.add_column("changed", overflow="fold")
    for baseline in dict.fromkeys(map(baseline_of, experiments)):
        params = read_params(baseline)
        add_row(table, name_commit(baseline), baseline, [])
        for ref, commit in experiments.items():
            if baseline_of(ref) == baseline:
                changed = list(describe_changes(params, read_params(commit)))
                add_row(table, f"  {ref.rsplit('/', 1)[1]}", commit, changed)
    return table


def add_row(table: Table, title: str, commit: str, changed: list[str]) -> None:
    scores = read_yaml_at(title, commit, str(METRIC_FILES["validation"]))  # JSON is YAML as well
    cells = [title, commit[:7], *(format_score(scores.get(name)) for name in SCORES)]
    table.add_row(*map(Text, [*cells, "\n".join(changed)]))


def name_commit(commit: str) -> str:
    """The branch or tag that points at a commit, if there is one."""
    form = ("--format=%(refname:short)", f"--points-at={commit}", "refs/heads", "refs/tags")
    return next(iter(git_output("for-each-ref", *form).splitlines()), "a commit")


def read_params(commit: str) -> dict[str, Any]:
    return flatten("", read_yaml_at(commit[:7], commit, str(PARAMS)))


def describe_changes(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    for key in differing_keys(before, after):
        yield f"{key}={json.dumps(after[key])}" if key in after else f"{key} removed"


def format_score(score: object) -> str:
    return f"{score:.4f}" if isinstance(score, float) else "-"


def notes_of_clone() -> Iterator[str]:
    """Why `dvc exp run --temp` and the queue leave no experiment in this clone."""
    without = "`dvc exp run --temp` and the queue leave no experiment"
    if is_shallow():
        yield f"{without} in a clone with a part of the history. {WHOLE_HISTORY}."
    if odd := ODD_PATH.search(str(Path.cwd())):
        yield f"{without} in a path with {odd[0]}. Move the clone, then run `make`."


if __name__ == "__main__":
    main()
