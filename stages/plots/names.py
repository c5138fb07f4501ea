"""Names in figures: any text, drawn as it stands and in a font that has its characters."""

import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

FONT = "DejaVu Sans"  # comes with matplotlib: the same letters on every machine
SCRIPTS_OF_CJK = {"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "IDEOGRAPHIC", "BOPOMOFO", "FULLWIDTH"}


def draw_as_written(texts: Iterable[str]) -> str:
    """Let matplotlib draw all text as it stands, and these in fonts that have their characters.

    Call it after rcParams are reset and before a figure is made. Returns what to tell the user if
    no installed font has some of the characters, else "".
    """
    mpl.rcParams["text.parse_math"] = False  # in "$5 and $6" there is no formula
    text = "".join(texts)
    if text.isascii():
        return ""
    own = FT2Font(font_manager.findfont(FONT)).get_charmap()
    lacking = {letter for letter in text if ord(letter) not in own and is_visible(letter)}
    families, missing = find_fonts(lacking)
    if families:
        mpl.rcParams["font.family"] = [FONT, *families]  # asked in this order for each character
    if not missing:
        return ""
    warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)  # said below
    return describe_missing(missing)


def is_visible(letter: str) -> bool:
    """Whether a font must have a glyph for it: not for joiners and variation selectors."""
    return unicodedata.category(letter) != "Cf" and not "\ufe00" <= letter <= "\ufe0f"


def find_fonts(letters: set[str]) -> tuple[list[str], set[str]]:
    """Families of installed fonts that have these characters, and the characters that none has."""
    families: list[str] = []
    missing = set(letters)
    if not missing:
        return families, missing
    # The manager's own list is a file that is older than a font just installed.
    for path in sorted(map(Path, font_manager.findSystemFonts()), key=preference):
        try:
            font = FT2Font(path)
            found = {letter for letter in missing if ord(letter) in font.get_charmap()}
            if found:
                font_manager.fontManager.addfont(path)
        except (RuntimeError, OSError, NotImplementedError):
            continue  # damaged, or made of bitmaps
        if found:
            families.append(font.family_name)
            missing -= found
        if not missing:
            break
    return families, missing


def preference(path: Path) -> tuple[bool, bool, str]:
    """Upright fonts of usual weight first, of these Noto's, which belong together."""
    return "Regular" not in path.stem, "Noto" not in path.stem, path.name


def describe_missing(letters: set[str]) -> str:
    """In ASCII, since a terminal may lack the characters as well; an example of each script."""
    examples = {script_of(letter): f"U+{ord(letter):04X}" for letter in sorted(letters)}
    words = ", ".join(f"{script} ({example})" for script, example in examples.items())
    packages = " ".join(sorted({package_for(letter) for letter in letters}))
    return (
        f"no installed font has {words}: boxes stand for {len(letters)} of the names' characters. "
        f"Install fonts (Debian: apt-get install {packages}), then draw again."
    )


def script_of(letter: str) -> str:
    """The first word of the character's name, which is its script if it is a letter."""
    return unicodedata.name(letter, "unnamed").split()[0]


def package_for(letter: str) -> str:
    if script_of(letter) in SCRIPTS_OF_CJK:
        return "fonts-noto-cjk"
    return "fonts-symbola" if unicodedata.category(letter)[0] == "S" else "fonts-noto-core"


def read_from_left(text: str) -> str:
    """The text with its parts in order from the left, even if it begins with Arabic or Hebrew."""
    has_other_direction = any(unicodedata.bidirectional(letter) in {"R", "AL"} for letter in text)
    return f"\N{LEFT-TO-RIGHT MARK}{text}" if has_other_direction else text


def shorten_names(names: list[str], most: int) -> list[str]:
    """The names, cut with an ellipsis to the width of `most` letters; a Chinese one is two wide.

    They lose their ends, but for those that would then look alike: these lose their middle.
    """
    short = [shorten_name(name, most) for name in names]
    times = Counter(short)
    return [
        cut_middle(name, most) if times[cut] > 1 else cut
        for name, cut in zip(names, short, strict=True)
    ]


def cut_middle(name: str, most: int) -> str:
    """The name with its beginning and its end, an ellipsis between them."""
    start = shorten_name(name, most - most // 2)
    end = shorten_name(name[::-1], most // 2)[::-1].removeprefix("…")
    return name if start == name else f"{start}{end.lstrip()}"


def shorten_name(name: str, most: int) -> str:
    widths = [1 + (unicodedata.east_asian_width(letter) in "WF") for letter in name]
    if sum(widths) <= most:
        return name
    kept = max(count for count in range(len(name)) if sum(widths[:count]) < most)
    return f"{name[:kept].rstrip()}…"
