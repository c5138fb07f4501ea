"""Names in the plots page: DVC writes them into a script, and no name may leave it."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import ROOT
from dvc_render.html import HTML
from dvc_render.vega import VegaRenderer
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.evaluate.page_names import keep_from_markup

PAGE = (ROOT / ".dvc/plots/page.html").read_text(encoding="utf-8")
MARKUP = st.text(alphabet="<>/!-{}scriptSCRIPT \u2060", max_size=20)
WHOLE = st.sampled_from(
    ["<script>", "</script>", "</SCRIPT >", "<!--", "-->", "<!--<script>", "]]>", "{refresh_tag}",
     "{scripts}", "{plot_divs}", "<DVC_METRIC_DATA>", "<DVC_METRIC_TITLE>", "</script><img src=x>"]
)  # fmt: skip


class Tags(HTMLParser):
    """The tags of a page, in order, and the text of its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.scripts = [""]
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        self.found.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1] == "script":
            self.scripts[-1] += data


def show(names: list[str]) -> Tags:
    """The page as DVC writes it for these names."""
    rows = [{"class": name, "recall": 1, "rev": "workspace"} for name in names]
    properties = {"template": "class_bars", "template_dir": str(ROOT / ".dvc/plots")}
    renderer = VegaRenderer(rows, "classes.json", x="recall", y="class", **properties)
    return Tags(HTML(PAGE).with_element(renderer.generate_html()).embed())


@settings(max_examples=200, deadline=None)
@given(names=st.lists(MARKUP | WHOLE | st.text(), min_size=1, max_size=3))
def test_no_name_leaves_the_script_that_dvc_writes_it_into(names):
    harmless, shown = show(["a"] * len(names)), show([keep_from_markup(name) for name in names])
    assert shown.found == harmless.found
    (block,) = (text for text in shown.scripts if "var spec" in text)
    assert block.count("<!--") == 0
    assert block.rstrip().endswith("vegaEmbed('#classes_json', spec);")


@pytest.mark.parametrize("name", ["</script><img src=x>", "<!--<script>", "{refresh_tag}"])
def test_as_it_stands_such_a_name_would_break_the_page(name):
    shown, harmless = show([name]), show(["a"])
    (block,) = (text for text in shown.scripts if "var spec" in text)
    assert shown.found != harmless.found or name not in block or "<!--<script>" in block


@given(name=st.text() | MARKUP | WHOLE)
def test_the_page_gets_the_very_name_back(name):
    pattern = re.search(r"value\.replace\(/(.*?)/g, \"\$1\"\)", PAGE)
    assert re.sub(pattern[1], r"\1", keep_from_markup(name)) == name


@pytest.mark.parametrize("name", ["Ankle boot", "100 %", "a > b", "}", "&lt;", "日本", "\u2060"])
def test_a_name_that_begins_no_markup_stays_as_it_is(name):
    assert keep_from_markup(name) == name


def test_the_templates_hold_no_joiner():
    """The page takes joiners out of whole specifications, templates included."""
    for path in Path(ROOT / ".dvc/plots").glob("*.json"):
        assert "\u2060" not in path.read_text(encoding="utf-8")
