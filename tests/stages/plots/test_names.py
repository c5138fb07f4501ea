"""Names in figures: any text is drawn as it stands, in a font that has its characters."""

import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

from stages.plots import figures
from stages.plots.names import FONT, draw_as_written, read_from_left, shorten_name
from stages.plots.style import use_style

FORMULAS = [
    "$",
    "$$",
    "$5",
    "$6% $7",
    "$x_2^$",
    r"\$\frac{1}{2}$",
    "$\\undefined$",
    "a_b^c{",
    "$é$",
]
# What dataset.yaml may hold: no controls and no half characters.
NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1)
MARKUP = st.text(alphabet="$\\{}^_ab12", min_size=1)


@pytest.fixture(autouse=True)
def own_settings() -> Iterator[None]:
    """Each test has matplotlib's settings and list of fonts for itself."""
    fonts = list(font_manager.fontManager.ttflist)
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("error")
        use_style()
        yield
    font_manager.fontManager.ttflist[:] = fonts
    font_manager.fontManager._findfont_cached.cache_clear()


def save(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=20)
    return content.getvalue()


def every_figure(names: list[str]) -> list[Figure]:
    """Every figure that shows class names."""
    count = len(names)
    labels = np.arange(9) % count
    counts = np.ones((count, count), int)
    recalls = [{"recall": 0.9, "recall_low": 0.8, "recall_high": 1.0, "support": 9}] * count
    images = np.zeros((9, 4, 4), np.uint8)
    return [
        figures.samples(images, labels, names),
        figures.predictions(images, labels, (labels + 1) % count, names, right=False),
        figures.class_distribution({"Train": np.bincount(labels)}, names, names[0]),
        figures.confusion_matrix(counts, names),
        figures.confused_pairs(counts, names, most=3),
        figures.class_recall(recalls, names, names[0]),
    ]


def write_font(path: Path, family: str, letters: str) -> Path:
    """A font whose characters are black squares."""
    pen = TTGlyphPen(None)
    for number, point in enumerate([(0, 0), (0, 700), (700, 700), (700, 0)]):
        (pen.lineTo if number else pen.moveTo)(point)
    pen.closePath()
    square = pen.glyph()
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", "square"])
    builder.setupCharacterMap({ord(letter): "square" for letter in letters})
    builder.setupGlyf({".notdef": square, "square": square})
    builder.setupHorizontalMetrics({".notdef": (800, 0), "square": (800, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


def install(monkeypatch: pytest.MonkeyPatch, *fonts: Path) -> None:
    """Let these be the system's fonts, and no others."""
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: list(map(str, fonts)))


# Formulas


@pytest.mark.parametrize("first", range(0, len(FORMULAS), 3))
def test_no_figure_reads_a_formula_in_a_name(first):
    names = FORMULAS[first : first + 3]
    draw_as_written(names)
    for figure in every_figure(names):
        save(figure)
        texts = figure.findobj(Text)
        assert not any(text.get_parse_math() for text in texts)
        shown = "".join(text.get_text() for text in texts)
        assert any(name in shown for name in names)


def test_a_dollar_sign_takes_its_place():
    draw_as_written([])

    def width(text: str) -> float:
        figure = Figure()
        drawn = figure.text(0, 0, text)
        save(figure)
        return drawn.get_window_extent().width

    assert width("$x$") > 2 * width("x")
    assert width(r"\$x") > width("$x")


@settings(max_examples=25, deadline=None)
@given(names=st.lists(NAMES | MARKUP, min_size=2, max_size=3, unique=True))
def test_any_names_are_drawn(names):
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        install(patch)
        draw_as_written(names)
        save(figures.confused_pairs(np.ones((len(names), len(names)), int), names, most=3))


# Fonts


@pytest.mark.parametrize(
    "name", ["T-shirt", "Äpfel", "Ωμέγα", "Жук", "عربي", "עברית", "≤ ½ → ☺", "a\u200db"]
)
def test_names_within_the_own_font_leave_the_fonts_alone(monkeypatch, name):
    monkeypatch.setattr(font_manager, "findSystemFonts", pytest.fail)
    before = dict(mpl.rcParams)
    assert draw_as_written(["left", name]) == ""
    assert mpl.rcParams == before | {"text.parse_math": False}


def test_an_installed_font_lends_the_characters_that_the_own_one_lacks(monkeypatch, tmp_path):
    tibetan = write_font(tmp_path / "Tibetan-Regular.ttf", "Test Tibetan", "བོད")
    khmer = write_font(tmp_path / "Khmer-Regular.ttf", "Test Khmer", "ខ្មែរ")
    other = write_font(tmp_path / "A-Regular.ttf", "Test Other", "abc")
    damaged = tmp_path / "Damaged-Regular.ttf"
    damaged.write_bytes(tibetan.read_bytes()[:100])
    install(monkeypatch, damaged, other, khmer, tibetan)
    assert draw_as_written(["བོད", "ខ្មែរ", "abc"]) == ""
    assert mpl.rcParams["font.family"] == [FONT, "Test Khmer", "Test Tibetan"]
    for figure in every_figure(["བོད", "ខ្មែរ", "abc"]):
        save(figure)  # a character without a font would warn


@pytest.mark.parametrize(
    ("name", "script", "package"),
    [
        ("猫", "CJK (U+732B)", "fonts-noto-cjk"),
        ("ねこ", "HIRAGANA (U+306D)", "fonts-noto-cjk"),
        ("고양이", "HANGUL (U+C774)", "fonts-noto-cjk"),
        ("แมว", "THAI (U+0E41)", "fonts-noto-core"),
        ("🦊", "FOX (U+1F98A)", "fonts-symbola"),
        ("\U000f0000", "unnamed (U+F0000)", "fonts-noto-core"),
    ],
)
def test_without_such_a_font_one_line_names_script_and_package(monkeypatch, name, script, package):
    install(monkeypatch)
    said = draw_as_written(["left", name])
    assert script in said
    assert f"(Debian: apt-get install {package})" in said
    assert said.isascii()
    assert len(said.splitlines()) == 1
    assert mpl.rcParams["font.family"] == [FONT]
    save(figures.confused_pairs(np.ones((2, 2), int), ["left", name], most=3))  # and no warnings


# Order and length


def test_a_pair_is_read_from_the_left_in_any_script():
    assert read_from_left("left as right") == "left as right"
    for text in ("قطة as dog", "dog as קוף"):
        assert read_from_left(text) == f"\u200e{text}"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("exactly10!", "exactly10!"),
        ("eleven char", "eleven ch…"),
        ("nine char and more", "nine char…"),
        ("日本語日本", "日本語日本"),
        ("日本語日本語", "日本語日…"),
        ("", ""),
    ],
)
def test_a_name_is_cut_to_its_width(name, shown):
    assert shorten_name(name, 10) == shown
