"""Markdown of names and values: a CommonMark parser shows each as it stands."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tools.shared.markdown import escape, format_code, format_table

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]))
MARKS = st.text(alphabet="\\`*_[]()#|~$<>&!-+=.:1aé \u00a0;ltx", max_size=16)
USUAL = ["T-shirt", "Ankle boot", "train.learning_rate", "a_b_c", "-0.0012", "+0.1", "5 % (1.2)"]


def flatten(tokens: list[Token]) -> list[Token]:
    return [each for token in tokens for each in [token, *flatten(token.children or [])]]


def shown(markdown: str) -> tuple[list[str], str]:
    """The kinds of a document's parts, and its text."""
    tokens = flatten(PARSER.parse(markdown))
    parts = [token.type for token in tokens if token.type not in {"text", "text_special"}]
    return parts, "".join(t.content for t in tokens if t.type in {"text", "text_special"})


def spaced(text: str) -> str:
    """The text as HTML shows it: blanks in a row are one."""
    return re.sub(" +", " ", text).strip(" ")


@pytest.mark.parametrize(
    "document",
    ["{}", "# {}", "### A = {}", "- {}", "**{}**", "{}: 5 times", "the classes ({}, {})",
     "| a | b |\n|:--|--:|\n| {} | 5 |"],
)  # fmt: skip
@settings(max_examples=150, deadline=None)
@given(name=(NAMES | MARKS | st.sampled_from(["1. x", "12) x", "---", "===", "<unk>", "# *x*"])))
def test_a_name_is_nothing_but_text(document, name):
    name = name.strip() or "x"  # the parser drops blanks at the ends of a line, Unicode's included
    parts, text = shown(document.replace("{}", escape(name)))
    expected_parts, expected = shown(document.replace("{}", "NAME"))
    assert parts == expected_parts
    assert spaced(text) == spaced(expected.replace("NAME", spaced(name)))


@pytest.mark.parametrize("text", USUAL)
def test_usual_text_needs_no_escapes(text):
    assert escape(text) == text


def test_several_lines_become_one():
    assert escape("  of several\n\tlines\r\n") == "of several lines"


@given(rows=st.lists(st.tuples(NAMES | MARKS, NAMES | MARKS), min_size=1, max_size=3))
def test_a_table_has_a_row_for_each_row(rows):
    parts, _text = shown(format_table(["a|b", "c"], [":--", "--:"], rows))
    assert parts.count("table_open") == 1
    assert parts.count("tr_open") == 1 + len(rows)
    assert parts.count("td_open") == 2 * len(rows)


@pytest.mark.parametrize("text", ["plain", "```\n# no heading\n```", "`````", "~~~ a"])
def test_code_stays_in_its_block(text):
    (token,) = PARSER.parse(format_code(text))
    assert (token.type, token.content) == ("fence", f"{text}\n")
