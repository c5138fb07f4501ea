"""dataset.yaml: written anew with a comment on every value, or edited with its comments kept."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.run.params import Dataset
from stages.run.yaml_files import validate
from stages.shared.atomic_write import atomic_write
from tools.dataset.choices import Choices
from tools.dataset.found import Found

COMMENTS = {
    "layout": "classes (CLASS/image) | splits (SPLIT/CLASS/image) | labels.csv",
    "first_label": "the number of the first class in the files: 0 | 1",
    "label": "the column of the label",
    "image": "the column of the image files",
}
NAMED = "labels are names of classes; 0 | 1 where they are numbers"


def compose(name: str, title: str | None, found: Found, choices: Choices) -> str:
    """The text of data/NAME/dataset.yaml. Raises UserError if a name in it is not allowed."""
    text = "\n".join(
        [
            f"# Written by `python -m tools.dataset {name}`; docs/own_data.md explains each value.",
            "# Edit what is wrong: DVC runs again what depends on it.",
            "",
            f"title: {quote(title or name)}",
            "",
            "# In the order of the model's outputs. A new class goes to the end.",
            "classes:",
            *(f"- {quote(each)}" for each in found.classes),
            "class_axis: Class       # what the figures call the classes",
            "",
            "format:",
            *describe_format(found),
            "",
            "# Beside this file. The count guards against runs that lack some of the images.",
            "files:",
            *describe_files(found),
            "sources: []             # for files to download; data/mnist/dataset.yaml has some",
            "",
            "# How an image is brought to the network.",
            "images:",
            *describe_values(choices, {
                "height": "pixels", "width": "pixels", "colour": "grey | rgb",
                "fit": "pad | crop | stretch | ink",
                "background": "0 to 255, for rgb three: beyond edges and behind transparency",
            }),
            "",
            "splits:",
            *describe_values(choices, {
                "test_fraction": "share of all images held out for the test; 0.0: the source's own",
                "test_split": "tail | random | stratified | grouped",
                "group": "which images stay together: a column, or a pattern over the path",
            }),
            "",
            "# true: leave out images that cannot be read or contradict others, and count them",
            f"skip_bad: {quote(choices['skip_bad'].value)}",
            "",
            "# For the model card: who made the images, and what may be done with them.",
            "licence: unknown",
            "citation: unknown",
            "",
        ]
    )  # fmt: skip
    validate(Dataset, YAML(typ="safe", pure=True).load(text), Path("data", name, "dataset.yaml"))
    return text


def quote(value: Any) -> str:
    """A value as YAML, which takes JSON."""
    return json.dumps(value, ensure_ascii=False)


def describe_format(found: Found) -> list[str]:
    lines = [line("name", found.format["name"], "idx | npz | csv | parquet | folder")]
    for key, value in found.format.items():
        if key != "name":
            comment = NAMED if value == "names" else COMMENTS[key]
            lines.append(line(key, value, comment))
    return lines


def describe_files(found: Found) -> list[str]:
    lines = []
    for file in found.files:
        lines += [f"  {file.role}:", f"    name: {quote(file.name)}"]
        if found.is_counted:
            lines.append(f"    count: {found.count}")
    return lines


def describe_values(choices: Choices, comments: dict[str, str]) -> list[str]:
    return [line(key, choices[key].value, comment) for key, comment in comments.items()]


def line(key: str, value: Any, comment: str) -> str:
    plain = isinstance(value, str) and value.isidentifier()
    return f"{f'  {key}: {value if plain else quote(value)}':23} # {comment}"


def update(path: Path, found: Found) -> list[str]:
    """Bring the count and the classes of dataset.yaml up to date; what changed, as lines.

    Classes keep their places, since these are the model's outputs; new ones go to the end.
    """
    yaml = YAML()  # keeps comments and order
    yaml.preserve_quotes = True
    yaml.width = 100
    whole = yaml.load(path.read_text(encoding="utf-8"))
    changed = []
    known = list(whole["classes"])
    named = (
        found.classes
        if found.format.get("first_label", "names") == "names"
        else found.classes[len(known) :]
    )
    for name in named:
        if name not in known:
            append(whole["classes"], name)
            changed.append(f"classes: new at the end: {name}")
    gone = [name for name in known if name not in found.classes]
    if gone and found.format.get("first_label", "names") == "names":
        changed.append(f"classes: no image of {', '.join(gone)}: remove them there, or add images")
    for file in found.files if found.is_counted else []:
        before = whole["files"][file.role].get("count")
        if before != found.count:
            whole["files"][file.role]["count"] = found.count
            changed.append(f"files.{file.role}.count: {before} becomes {found.count}")
    if found.is_counted and whole["format"]["layout"] != found.format["layout"]:
        changed.append(f"format.layout: {whole['format']['layout']} becomes "
                       f"{found.format['layout']}")  # fmt: skip
        whole["format"]["layout"] = found.format["layout"]
    text = io.StringIO()
    yaml.dump(whole, text)
    validate(Dataset, YAML(typ="safe", pure=True).load(text.getvalue()), path)
    if changed:
        with atomic_write(path) as target:
            target.write(text.getvalue().encode())
    return changed


def append(names: Any, name: str) -> None:
    """Add a name to a list of YAML; the blank line or comment after the list stays after it."""
    last = len(names) - 1
    names.append(name)
    after = names.ca.items.pop(last, None)
    if after:
        names.ca.items[last + 1] = after
