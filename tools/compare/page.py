"""A page of sentences and tables about revisions: for the terminal, as Markdown, as JSON."""

import json
from dataclasses import dataclass
from textwrap import shorten
from typing import Any
from urllib.parse import quote

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from tools.compare.verdicts import BETTER, SAME, WORSE
from tools.shared.common_images import Common, list_reasons
from tools.shared.markdown import escape, format_table
from tools.shared.revisions import Revision, differing_keys

Row = dict[str, Any]

NONE = "no evidence"  # what SAME is in a table that shall fit into 80 characters
STYLES = {BETTER: "bold green", WORSE: "bold red", NONE: "dim", SAME: ""}
# Columns aligned left.
WORDS = {
    *("key", "metric", "class", "run", "verdict", "mistaken for"),
    *("split", "label in A", "label in B"),
}
QUOTE = "Test images are to quote a choice by, not to make one: choose by validation images."


@dataclass
class Table:
    title: str
    header: list[str]
    rows: list[list[str]]
    wraps: bool = False  # cells that do not fit take several lines


@dataclass
class Page:
    title: str
    verdict: str | None  # None where nothing is judged
    answer: list[str]  # sentences; the verdict's comes first
    tables: list[Table]
    notes: list[str]
    data: Row  # the same for a machine
    figure: str | None = None  # path of a PNG of the images fixed and broken
    data_figure: str | None = None  # path of a PNG of the images that differ

    def __post_init__(self) -> None:
        self.tables = [table for table in self.tables if table.rows]
        self.notes = [" ".join(note.split()) for note in self.notes]


def print_page(page: Page) -> None:
    """Print to the terminal."""
    console = Console(highlight=False)
    console.print(Text(page.title, style="bold"))
    for number, sentence in enumerate(page.answer):
        style = STYLES[page.verdict] if page.verdict and not number else ""
        console.print(Text(sentence, style=style))
    for table in page.tables:
        drawn = RichTable(
            title=table.title, title_justify="left", title_style="bold",
            box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False,
        )  # fmt: skip
        for name in table.header:
            words = name in WORDS
            drawn.add_column(
                name,
                justify="left" if words else "right",
                no_wrap=not (words or table.wraps),
                overflow="fold",
            )
        for row in table.rows:
            drawn.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
        console.print()
        console.print(drawn)
    console.print()
    for note in page.notes:
        console.print(Text(note, style="dim"))
    for path in filter(None, (page.figure, page.data_figure)):
        console.print(Text(f"Figure: {path}"))


def as_markdown(page: Page) -> str:
    first, *others = map(escape, page.answer)
    lines = [f"### {escape(page.title)}", "", f"**{first}**", *others, ""]
    for table in page.tables:
        marks = [":--" if name in WORDS else "--:" for name in table.header]
        lines += [f"**{table.title}**", "", format_table(table.header, marks, table.rows), ""]
    lines += [f"- {escape(note)}" for note in page.notes]
    figures = {"Images fixed and broken": page.figure, "Changes of the data": page.data_figure}
    for title, path in figures.items():
        lines += ["", f"![{title}]({quote(path)})"] if path else []
    return "\n".join(lines)


def as_json(page: Page) -> str:
    words = {"title": page.title, "verdict": page.verdict, "answer": page.answer}
    rest = {"notes": page.notes, "figure": page.figure, "data_figure": page.data_figure}
    return json.dumps(words | page.data | rest, indent=2, allow_nan=False)


def what_differs(a: Revision, b: Revision) -> Table:
    """The params and the code that differ, and the networks' sizes."""
    params, code = differing_keys(a.params, b.params), differing_keys(a.code, b.code)
    rows = [[key, *shorten_values(a.params.get(key), b.params.get(key))] for key in params]
    rows += [[path, *(r.code.get(path, "absent")[:7] for r in (a, b))] for path in code]
    if a.weights != b.weights:
        rows.append(["(weights of the network)", *(format_weights(r) for r in (a, b))])
    return Table("What differs", ["key", "A", "B"], rows, wraps=True)


def format_weights(revision: Revision) -> str:
    return "absent" if revision.weights is None else f"{revision.weights:,}"


def differences_of(a: Revision, b: Revision) -> Row:
    """The same for a machine."""
    keys = differing_keys(a.params, b.params)
    return {
        "params": {key: [a.params.get(key), b.params.get(key)] for key in keys},
        "code": differing_keys(a.code, b.code),
        "weights": [a.weights, b.weights],
    }


def common_notes(revisions: list[Revision], split: str) -> list[str]:
    old = [
        f"{r.title}: its results are older than {', '.join(r.stale)}; they are judged as they are."
        for r in revisions
        if r.stale
    ]
    return [*old, QUOTE] if split == "test" else old


def describe_common(common: Common, sides: dict[str, int], split: str) -> list[str]:
    """On how many of how many images models were compared, and why not on the others.

    `sides` names revisions by their index.
    """
    counts = " and ".join(f"{side} {common.counts[index]:,}" for side, index in sides.items())
    left_out = [
        f"of {side}, {reasons}"
        for side, index in sides.items()
        if (reasons := list_reasons(common.left_out[index]))
    ]
    compared = (
        f"The {split} images differ ({counts}). Compared on the {len(common.rows[0]):,} that both "
        "have, with the same label, and that neither was trained on."
    )
    return [compared, *([f"Left out: {'; '.join(left_out)}."] if left_out else [])]


def count_common(common: Common) -> Row:
    """The same for a machine."""
    return {"images": common.counts, "left_out": common.left_out}


def format_interval(row: Row) -> str:
    """A difference, its interval and its p value, in a sentence."""
    ends = f"{format_signed(row['low'])} to {format_signed(row['high'])}"
    p = format_p(row["p"])
    p = f"p < {p[1:]}" if p.startswith("<") else f"p = {p}"
    return f"{format_signed(row['difference'])}, 95 % interval {ends}, {p}"


def score_table(rows: list[Row]) -> Table:
    """Metrics: both values, their difference, its interval and p value, and the verdict."""
    return Table(
        "Scores",
        ["metric", "A", "B", "B - A", "95 % interval", "p", "verdict"],
        [
            [
                row["metric"],
                f"{row['a']:.4f}",
                f"{row['b']:.4f}",
                format_signed(row["difference"]),
                f"{format_signed(row['low'])} {format_signed(row['high'])}",
                format_p(row["p"]),
                short_verdict(row["verdict"]),
            ]
            for row in rows
        ],
    )


def short_verdict(verdict: str) -> str:
    return NONE if verdict == SAME else verdict


def format_signed(value: float) -> str:
    return f"{value:+z.4f}"


def format_p(p: float | None) -> str:
    if p is None:
        return "?"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def shorten_values(*values: object) -> list[str]:
    """Values of params.yaml, shortened to a cell if that still tells them apart."""
    texts = [format_value(value) for value in values]
    short = [shorten(text, 40, placeholder=" ...") for text in texts]
    return short if len(set(short)) == len(set(texts)) else texts


def format_value(value: object) -> str:
    if value is None:
        return "absent"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
