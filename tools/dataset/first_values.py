"""First values of params.yaml for a data set: what `--use` sets, and that it overwrites no edit."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from stages.run.keys import flatten, get_value
from stages.run.params import PARAMS, Dataset, Images, Params
from stages.run.yaml_files import parse_yaml, validate
from stages.shared.errors import UserError
from tools.dataset.found import by
from tools.recipe import Edit, Values, edit_params, read_recipe, select_changes, write_params
from tools.shared.git import read_content, resolve_commit

PICTURES = "own-images"  # the recipe with a pretrained network
DRAWINGS = "cnn"
TINY_DRAWINGS = "fast-mlp"
LARGEST_DRAWING = 32  # pixels; larger grey images, such as X-rays, are taken for pictures
SMALLEST_OF_CNN = 28  # pixels, which its layers need
STYLES = {"+": "green", "-": "red", "@": "cyan"}  # lines of a diff, as Git colours them


class Recipe(NamedTuple):
    name: str
    reason: str


def choose_recipe(images: Images) -> Recipe:
    size = by((images.height, images.width))
    is_small = max(images.height, images.width) <= LARGEST_DRAWING
    if images.fit != "ink" and not (images.colour == "grey" and is_small):
        return Recipe(PICTURES, "a network that knows pictures learns from few images")
    if images.fit == "ink":
        what = "`fit: ink` is for drawings"
    else:
        what = f"grey images of {size} are drawings more often than pictures"
    if min(images.height, images.width) < SMALLEST_OF_CNN:
        return Recipe(TINY_DRAWINGS, f"{what}, and too small for `{DRAWINGS}`")
    return Recipe(DRAWINGS, f"{what}, which networks for pictures do not know")


def choose_values(name: str, dataset: Dataset, has_validation: bool) -> tuple[Values, list[str]]:
    """Values by their keys, and lines to print that say why.

    `has_validation` says that the source has validation images of its own.
    """
    recipe = choose_recipe(dataset.images)
    values = read_recipe(recipe.name) | {"dataset": name}
    lines = [f"  recipe {recipe.name}: {recipe.reason}"]
    if has_validation:
        split, reason = "tail", "idle, as the source has validation images of its own"
    elif dataset.splits.group:
        split, reason = "grouped", "there are groups"
    else:
        split, reason = "stratified", "as large a share of each class, by chance"
    values["preprocess.split"] = split
    lines.append(f"  preprocess.split {split}: {reason}")
    longer = max(dataset.images.height, dataset.images.width)
    if values["model.name"] == "pretrained" and values["model.pretrained.side"] < longer:
        values["model.pretrained.side"] = longer
        lines.append(f"  model.pretrained.side {longer}: the images' longer side")
    return values, lines


def plan_edit(name: str, dataset: Dataset, has_validation: bool) -> tuple[Edit, list[str]]:
    """What params.yaml becomes, and lines that say why; nothing is written.

    Raises UserError if that would overwrite what Git does not have, or would not be right.
    """
    values, lines = choose_values(name, dataset, has_validation)
    edit = edit_params(values)
    validate(Params, parse_yaml(edit.after, PARAMS), PARAMS)
    return edit, [*lines, *refuse_lost_edits(edit)]


def refuse_lost_edits(edit: Edit) -> list[str]:
    """Raise UserError if an uncommitted value would be overwritten; a line that names the others.

    Comments stay, as do keys that keep their value.
    """
    content = read_content("HEAD", str(PARAMS)) if resolve_commit("HEAD") else None
    if content is None:
        if not edit.changed:
            return []
        raise UserError(
            f"{PARAMS} is in no commit, and --use would overwrite {len(edit.changed)} values: "
            f"`git add {PARAMS}`, `git commit`, then repeat the command"
        )
    committed = parse_yaml(content.decode("utf-8", "replace"), Path(f"HEAD:{PARAMS}"))
    present = flatten("", parse_yaml(edit.before, PARAMS))
    edited = select_changes(committed, present)
    lost = [
        f"{key} is {json.dumps(value)}, {json.dumps(get_value(committed, key))} in the last commit"
        for key, value in edited.items()
        if key in edit.changed
    ]
    if lost:
        raise UserError(
            f"--use would overwrite what is not committed in {PARAMS}:\n  "
            + "\n  ".join(lost)
            + f"\nCommit it (`git commit {PARAMS}`) or put it aside (`git stash push {PARAMS}`), "
            "then repeat the command"
        )
    if not edited or not edit.changed:
        return []
    return [f"  kept, though not committed: {', '.join(edited)}"]


def apply_edit(edit: Edit, name: str) -> None:
    """Write params.yaml, and print what changed and whose limits the gate has."""
    write_params(edit)
    print_diff(edit)
    print(describe_gate(parse_yaml(edit.after, PARAMS), name), end="")


def print_diff(edit: Edit) -> None:
    """As `git diff` prints it, without colour unless to a terminal."""
    if not edit.changed:
        print(f"{PARAMS} has these values already")
    before, after = edit.before.splitlines(), edit.after.splitlines()
    console = Console(soft_wrap=True)
    for line in difflib.unified_diff(before, after, f"a/{PARAMS}", f"b/{PARAMS}", lineterm=""):
        is_name = line.startswith(("---", "+++"))
        console.print(Text(line, "bold" if is_name else STYLES.get(line[0], "")))


def describe_gate(params: Any, name: str) -> str:
    """A line that the gate's limits are another data set's; "" unless they say so."""
    owner = get_value(params, "gate.dataset")
    if owner in (None, name):
        return ""
    return (
        f"{PARAMS}: the limits of gate are those of {owner}: before you run `python -m "
        f"tools.gate`, set gate.dataset to {name}, and limits that fit it\n"
    )
