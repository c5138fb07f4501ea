"""Markdown in which names and values stand as they are, whatever characters they have."""

import re
from collections.abc import Sequence

ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
MARKS = re.compile(
    r"[\\`*\[#|~$]"  # code, emphasis, links, cells, strikethrough, formulas
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis; within a word _ is a letter
    r"|^[-+=](?=[-+=\s]|$)"  # at the start: a list, a rule, a heading
)
NUMBER = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")  # at the start: a numbered list


def escape(text: str) -> str:
    """The text on one line, for a paragraph, heading, list item or cell of a table."""
    line = re.sub(r"[ \t\r\n\v\f]+", " ", text).strip(" ")
    line = NUMBER.sub(r"\1\\\2", MARKS.sub(r"\\\g<0>", line))
    return re.sub("[&<>]", lambda found: ENTITIES[found[0]], line)


def format_table(header: Sequence[str], marks: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of plain texts; marks such as :-- and --: align its columns."""
    lines = [[escape(cell) for cell in header], marks, *([escape(c) for c in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def format_code(text: str) -> str:
    """A block of code, in a fence longer than any in it."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"
