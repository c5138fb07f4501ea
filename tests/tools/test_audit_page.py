"""The page of suspects as a person uses it, in a browser without a network."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser_page import offline_context, open_page, running_browser
from playwright.sync_api import Browser, BrowserContext, Page, expect

from stages.preprocess.corrections import read_corrections
from tools.audit.page import compose_page, encode_image

CLASSES = ["0", "4", "9", 'seven, or <b>"1"</b></script>']
COUNT = 6
FILE = "digits-corrections.csv"


def pixels(seed: int, shape: tuple[int, ...] = (28, 28)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def suspect(number: int, **changes: object) -> dict[str, object]:
    given, suggested = CLASSES[number % 4], CLASSES[(number + 1) % 4]
    return {
        "image": f"{number:064x}", "split": "train", "index": 10 * number, "given": given,
        "suggested": suggested, "probabilities": [[suggested, 0.96], [given, 0.03]],
        "reason": 'by "networks", 0.96', "recorded": None, "png": encode_image(pixels(number)),
    } | changes  # fmt: skip


def write_page(path: Path, suspects: list[dict[str, object]], **changes: object) -> str:
    sides = [{"name": f"test {n}", "png": encode_image(pixels(n))} for n in range(2)]
    words = {
        "title": "Digits & <i>more</i>", "dataset": "digits", "about": "Six of 100 images.",
        "classes": CLASSES, "corrections": "data/digits/corrections.csv", "file": FILE,
        "command": "python -m tools.audit --apply", "pixels": True,
        "pairs_title": "1 near-duplicate", "pairs": [{"similarity": "0.995", "sides": sides}],
    }  # fmt: skip
    path.write_text(compose_page(words | changes, suspects), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


@pytest.fixture
def url(tmp_path: Path) -> str:
    return write_page(tmp_path / "suspects.html", [suspect(n) for n in range(COUNT)])


@pytest.fixture
def window(browser: Browser, url: str) -> Iterator[BrowserContext]:
    """A window that reaches nothing but the page's own file."""
    context = offline_context(browser, url)
    yield context
    context.close()


@pytest.fixture
def page(window: BrowserContext, url: str) -> Iterator[Page]:
    opened, faults = open_page(window, url)
    yield opened
    assert faults == []


def downloaded(page: Page, folder: Path) -> list[list[str]]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Download corrections").click()
    assert download.value.suggested_filename == FILE
    path = folder / FILE
    download.value.save_as(path)
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))[1:]


def rank(page: Page) -> int:
    return int(page.inner_text("#place").split()[0])


def test_the_first_suspect_is_asked(page: Page) -> None:
    assert page.title() == page.inner_text("h1") == "Suspect labels: Digits & <i>more</i>"
    assert page.inner_text("#place") == "1 of 6: train image 0"
    assert page.inner_text("#given") == "0"
    assert page.inner_text("#suggested") == "4"
    shares = [row.inner_text().split() for row in page.locator("#bars li").all()]
    assert shares == [["4", "96.0", "%"], ["0", "3.0", "%"]]
    assert "0 of 6 decided" in page.inner_text("#count")
    size = page.eval_on_selector("#image", "image => [image.naturalWidth, image.naturalHeight]")
    assert size == [28, 28]
    expect(page.locator("#image")).to_have_css("image-rendering", "pixelated")
    expect(page.get_by_role("button", name="Download corrections")).to_be_disabled()


def test_keys_accept_keep_and_drop_and_the_result_is_corrections(page: Page, tmp_path: Path):
    for key, said in [
        ("a", "Corrected: “0” to “4”."),
        ("k", "Kept: “4” is right."),
        ("d", "Dropped."),
    ]:
        before = rank(page)
        page.keyboard.press(key)
        assert rank(page) == before + 1
        expect(page.locator("#live")).to_contain_text(said)
    assert page.inner_text("#count") == "3 of 6 decided: 1 corrected, 1 kept, 1 dropped"
    page.keyboard.press("A")  # with Caps Lock
    rows = downloaded(page, tmp_path)
    reason = 'by "networks", 0.96'
    assert rows == [
        [f"{0:064x}", "0", "4", reason],
        [f"{2:064x}", "9", "", reason],
        [f"{3:064x}", CLASSES[3], "0", reason],
    ]
    assert len(read_corrections(tmp_path / FILE, CLASSES)) == 3
    assert page.inner_text("#command") == f"python -m tools.audit --apply ~/Downloads/{FILE}"


def test_buttons_do_the_same_and_another_label_may_be_right(page: Page, tmp_path: Path):
    page.get_by_role("button", name="Drop the image").click()
    page.get_by_role("button", name="Accept").click()
    page.get_by_role("button", name="Keep").click()
    page.get_by_label("Another label").select_option(label="4")
    assert [row[1:3] for row in downloaded(page, tmp_path)] == [
        ["0", ""],
        ["4", "9"],
        [CLASSES[3], "4"],
    ]
    page.get_by_role("button", name="Back").click()
    expect(page.locator("#other")).to_have_value("4")
    page.get_by_label("Another label").select_option(label=CLASSES[3])  # the given one: it is kept
    assert page.inner_text("#count") == "4 of 6 decided: 1 corrected, 2 kept, 1 dropped"


def test_back_next_undo_and_next_undecided(page: Page) -> None:
    page.keyboard.press("ArrowRight")
    page.keyboard.press("a")
    assert rank(page) == 3
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#decision") == "Corrected: “4” to “9”."
    assert page.get_attribute("#accept", "aria-pressed") == "true"
    page.keyboard.press("u")
    assert page.inner_text("#decision") == ""
    assert page.inner_text("#count").startswith("0 of 6 decided")
    page.keyboard.press("k")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("n")
    assert rank(page) == 3
    for _ in range(9):
        page.keyboard.press("ArrowRight")
    assert rank(page) == 6
    expect(page.get_by_role("button", name="Next", exact=False).first).to_be_disabled()
    page.keyboard.press("n")  # the first one was left open
    assert rank(page) == 1


def test_progress_outlives_the_page_and_another_audit(window: BrowserContext, url: str, tmp_path):
    first, _ = open_page(window, url)
    first.keyboard.press("d")
    first.keyboard.press("k")
    first.close()
    again, _ = open_page(window, url)
    assert again.inner_text("#count") == "2 of 6 decided: 0 corrected, 1 kept, 1 dropped"
    assert rank(again) == 3
    again.close()
    # Another order, one suspect less, and one with another label now.
    write_page(tmp_path / "suspects.html", [suspect(4), suspect(1), suspect(0, given="9")])
    later, _ = open_page(window, url)
    assert later.inner_text("#count") == "1 of 3 decided: 0 corrected, 1 kept, 0 dropped"
    assert later.locator("#list .mark").all_inner_texts() == ["", "kept", ""]
    expect(later.get_by_role("button", name="Download corrections")).to_be_disabled()


def test_a_correction_that_is_recorded_already_stays(window: BrowserContext, tmp_path: Path):
    suspects = [suspect(0, recorded="9"), suspect(1, recorded=""), suspect(2)]
    page, faults = open_page(window, write_page(tmp_path / "suspects.html", suspects))
    assert rank(page) == 3
    page.keyboard.press("a")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#accept")).to_be_disabled()
    page.keyboard.press("k")
    page.keyboard.press("u")
    assert "Dropped in data/digits/corrections.csv: edit that file" in page.inner_text("#decision")
    assert [row[0] for row in downloaded(page, tmp_path)] == [f"{2:064x}"]
    assert page.inner_text("#count") == "3 of 3 decided: 2 corrected, 0 kept, 1 dropped"
    assert faults == []


def test_the_corrections_are_copied(browser: Browser, url: str) -> None:
    context = offline_context(browser, url, permissions=["clipboard-read", "clipboard-write"])
    page, _ = open_page(context, url)
    page.keyboard.press("a")
    page.get_by_role("button", name="Copy corrections").click()
    expect(page.locator("#said")).to_contain_text("Copied. Run the command, paste")
    text = page.evaluate("navigator.clipboard.readText()")
    assert text.startswith(f"image,old,new,reason\n{0:064x},0,4,")
    assert page.inner_text("#command").endswith("--apply -")
    context.close()


def test_the_list_is_one_stop_of_the_tab_key_and_arrows_move_in_it(page: Page) -> None:
    buttons = page.locator("#list button")
    assert [each.get_attribute("tabindex") for each in buttons.all()] == ["0"] + ["-1"] * 5
    buttons.nth(3).click()
    assert rank(page) == 4
    page.keyboard.press("ArrowRight")
    expect(buttons.nth(4)).to_be_focused()
    assert buttons.nth(4).get_attribute("aria-current") == "true"
    names = [each.get_attribute("aria-label") for each in buttons.all()]
    assert names[0] == "1: given 0, suggested 4"
    page.get_by_label("Another label").focus()
    page.keyboard.press("k")  # in a list of labels, letters choose a label
    assert rank(page) == 5


def test_near_duplicates_are_shown_when_opened(page: Page) -> None:
    assert page.locator("#pairs-list li").count() == 0
    page.locator("#pairs-title").click()
    expect(page.locator("#pairs-list li")).to_have_count(1)
    assert "test 0 and test 1: 0.995" in page.inner_text("#pairs-list")


def test_no_suspects_and_no_pairs_is_a_page_too(window: BrowserContext, tmp_path: Path) -> None:
    url = write_page(tmp_path / "suspects.html", [], pairs=[])
    page, faults = open_page(window, url)
    page.keyboard.press("a")
    for part in ("#now", "#all", "#result", "#pairs"):
        expect(page.locator(part)).to_be_hidden()
    assert faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_all_fits_the_width_and_text_is_readable(browser: Browser, url: str, scheme, width) -> None:
    size = {"width": width, "height": 800}
    context = offline_context(browser, url, viewport=size, color_scheme=scheme)
    page, _ = open_page(context, url)
    page.keyboard.press("a")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for place in ("#given", "#suggested", "#count", "#place", "#list .accepted"):
        assert contrast(page, place) >= 4.5, place
    context.close()


def contrast(page: Page, place: str) -> float:
    """The contrast of a text with the card behind it, as WCAG 2 has it."""
    colours = page.eval_on_selector(
        place,
        """element => [getComputedStyle(element).color,
          getComputedStyle(element.closest("section")).backgroundColor]""",
    )

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in colour[4:-1].split(",")]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    dark, light = sorted(map(luminance, colours))
    return (light + 0.05) / (dark + 0.05)


def test_two_thousand_suspects_answer_a_key_at_once(window: BrowserContext, tmp_path: Path):
    one = suspect(1)
    many = [one | {"image": f"{n:064x}", "index": n} for n in range(2000)]
    path = tmp_path / "suspects.html"
    page, faults = open_page(window, write_page(path, many))
    seconds = page.evaluate(
        """() => {
          const start = performance.now();
          for (let n = 0; n < 100; n++)
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "a", bubbles: true }));
          return (performance.now() - start) / 1000;
        }"""
    )
    assert page.inner_text("#count").startswith("100 of 2000 decided")
    assert seconds < 5  # 50 ms a key
    assert faults == []


def test_large_and_colour_images_are_scaled_down() -> None:
    assert encode_image(pixels(0)).startswith("data:image/png;")
    large = encode_image(pixels(0, (300, 200, 3)))
    assert large.startswith("data:image/jpeg;")
    assert len(large) < 40_000
