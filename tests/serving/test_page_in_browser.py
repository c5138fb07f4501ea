"""The drawing page as a person uses it, in a browser without a network."""

import base64
import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from browser_page import find_browser, offline_context, open_page, running_browser, serve_folder
from classifiers import softmax_of, write_classifier, write_network
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, expect

from serving import browser_runtime
from serving.browser_runtime import MODEL_FILES, SHA256, find_runtime, write_page
from stages.shared.errors import UserError
from stages.shared.ink import center_ink

Line = list[tuple[float, float]]

# Each digit as lines from (0, 0), top left of the sheet, to (1, 1).
DIGITS: dict[str, list[Line]] = {
    "0": [[(0.5, 0.2), (0.35, 0.3), (0.32, 0.5), (0.35, 0.7), (0.5, 0.8), (0.65, 0.7),
           (0.68, 0.5), (0.65, 0.3), (0.5, 0.2)]],
    "1": [[(0.5, 0.2), (0.5, 0.8)]],
    "4": [[(0.4, 0.2), (0.32, 0.55), (0.68, 0.55)], [(0.6, 0.3), (0.58, 0.8)]],
    "7": [[(0.3, 0.25), (0.7, 0.25), (0.45, 0.8)]],
}  # fmt: skip
INK = {"height": 28, "width": 28, "colour": "grey", "fit": "ink", "background": 0}
PHOTOS = {"height": 12, "width": 10, "colour": "rgb", "fit": "crop", "background": [0, 0, 0]}


def digit_image(digit: str) -> np.ndarray:
    image = Image.new("L", (200, 200))
    for line in DIGITS[digit]:
        points = [(200 * x, 200 * y) for x, y in line]
        ImageDraw.Draw(image).line(points, fill=255, width=14, joint="curve")
    return np.asarray(image)


def write_digits(folder: Path) -> Path:
    """A classifier of digits: the likeness to one drawing of each."""
    drawings = np.stack([center_ink(digit_image(each), 28, 28) for each in DIGITS])
    templates = drawings.reshape(len(DIGITS), -1).astype(np.float32)
    templates -= templates.mean(axis=1, keepdims=True)
    templates *= 24 / 255 / np.linalg.norm(templates, axis=1, keepdims=True) / 8
    said = {"title": "Digits", "classes": list(DIGITS), "images": INK, "threshold": 0.9}
    return write_network(folder, softmax_of(np.ascontiguousarray(templates.T), (28, 28)), **said)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


@pytest.fixture(scope="module")
def digits_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("digits page")
    write_page(folder, write_digits(tmp_path_factory.mktemp("digits")))
    with serve_folder(folder) as url:
        yield url


@pytest.fixture(scope="module")
def photos_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, model = (tmp_path_factory.mktemp(name) for name in ("photos page", "photos"))
    write_page(folder, write_classifier(model, channels=3, images=PHOTOS))
    with serve_folder(folder) as url:
        yield url


@pytest.fixture
def open_at(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a page in a window of its own; in the end, nothing may have gone wrong in it."""
    opened = []

    def open_window(url: str, **options: object) -> Page:
        context = offline_context(browser, url, **options)
        page, faults = open_page(context, url)
        opened.append((context, faults))
        return page

    yield open_window
    for context, faults in opened:
        context.close()
        assert faults == []


def draw(page: Page, lines: list[Line], lift: bool = True) -> None:
    box = page.locator("#canvas").bounding_box()
    assert box
    for line in lines:
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in line]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=6)
        if lift:
            page.mouse.up()


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def hand_over(page: Page, kind: str, content: bytes, name: str = "photo.png") -> None:
    """Drop or paste a file."""
    page.evaluate(
        """([kind, content, name]) => {
          const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], name, { type: "image/png" }));
          const event = kind === "paste"
            ? new ClipboardEvent(kind, { clipboardData: data, bubbles: true })
            : new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true });
          document.querySelector("#canvas").dispatchEvent(event);
        }""",
        [kind, base64.b64encode(content).decode(), name],
    )


@pytest.mark.parametrize("digit", DIGITS)
def test_a_drawn_digit_is_answered(
    open_at: Callable[..., Page], digits_url: str, digit: str
) -> None:
    page = open_at(digits_url)
    expect(page.locator("#answer")).to_have_text("Draw something")
    draw(page, DIGITS[digit])
    expect(page.locator("#answer")).to_have_text(digit)
    rows = page.locator("#bars li")
    assert [row.locator(".name").inner_text() for row in rows.all()] == list(DIGITS)
    assert page.locator("#bars .best .name").inner_text() == digit
    expect(page.locator("#live")).to_contain_text(f"{digit}. Probability")
    assert page.title() == "Digits"
    assert "100.0 % of 30 test images" in page.inner_text("#facts").replace("\xa0", " ")


def test_the_bars_move_while_the_pen_is_down(open_at: Callable[..., Page], digits_url: str) -> None:
    page = open_at(digits_url)
    draw(page, DIGITS["1"], lift=False)
    expect(page.locator("#bars .best .name")).to_have_text("1")
    page.mouse.up()


def test_undo_takes_back_one_line_and_clear_all(
    open_at: Callable[..., Page], digits_url: str
) -> None:
    page = open_at(digits_url)
    undo, clear = page.get_by_role("button", name="Undo"), page.get_by_role("button", name="Clear")
    expect(undo).to_be_disabled()
    draw(page, DIGITS["1"])
    draw(page, DIGITS["0"])
    expect(page.locator("#answer")).not_to_have_text("1")
    undo.click()
    expect(page.locator("#answer")).to_have_text("1")
    draw(page, DIGITS["7"])
    clear.click()
    expect(page.locator("#answer")).to_have_text("Draw something")
    expect(clear).to_be_disabled()
    draw(page, DIGITS["1"])
    page.keyboard.press("Control+z")
    expect(page.locator("#answer")).to_have_text("Draw something")


def test_a_scribble_is_unsure(open_at: Callable[..., Page], digits_url: str) -> None:
    page = open_at(digits_url)
    draw(page, [[(0.2, 0.2), (0.8, 0.8)], [(0.8, 0.2), (0.2, 0.8)]])
    expect(page.locator("#answer")).to_have_text("unsure")
    expect(page.locator("#detail")).to_contain_text("Most likely")


def test_the_keyboard_draws_and_clears(open_at: Callable[..., Page], digits_url: str) -> None:
    page = open_at(digits_url)
    four = {"name": "a.png", "mimeType": "image/png", "buffer": png(digit_image("4"))}
    page.on("filechooser", lambda chooser: chooser.set_files(four))  # type: ignore[arg-type]
    page.keyboard.press("Tab")
    expect(page.locator("#canvas")).to_be_focused()
    page.keyboard.press("Space")
    for _ in range(6):
        page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Space")
    expect(page.locator("#answer")).to_have_text("1")
    for name in ("undo", "clear", "choose"):
        page.keyboard.press("Tab")
        expect(page.locator(f"#{name}")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#answer")).to_have_text("Draw something")
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_have_text("4")


def test_a_finger_draws(open_at: Callable[..., Page], digits_url: str) -> None:
    page = open_at(digits_url, viewport={"width": 375, "height": 812}, has_touch=True)
    box = page.locator("#canvas").bounding_box()
    assert box
    client = page.context.new_cdp_session(page)
    for kind, place in zip(["touchStart"] + 3 * ["touchMove"], (0.2, 0.4, 0.6, 0.8), strict=True):
        point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + place * box["height"]}
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(page.locator("#answer")).to_have_text("1")
    assert page.evaluate("scrollY") == 0


@pytest.mark.parametrize("kind", ["drop", "paste"])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_photo_is_read_in_place_of_the_drawing(
    open_at: Callable[..., Page], digits_url: str, kind: str, inverted: bool
) -> None:
    page = open_at(digits_url)
    draw(page, DIGITS["1"])
    image = digit_image("7")
    hand_over(page, kind, png(255 - image if inverted else image))
    expect(page.locator("#answer")).to_have_text("7")
    draw(page, DIGITS["0"])  # which takes the photo's place
    expect(page.locator("#answer")).to_have_text("0")


def test_what_is_no_image_is_named(open_at: Callable[..., Page], digits_url: str) -> None:
    page = open_at(digits_url)
    hand_over(page, "drop", b"no image", "notes.txt")
    expect(page.locator("#detail")).to_have_text(
        "notes.txt is no image that this browser can read."
    )
    draw(page, DIGITS["1"])
    expect(page.locator("#answer")).to_have_text("1")


def test_a_blank_photo_has_no_ink(open_at: Callable[..., Page], digits_url: str) -> None:
    page = open_at(digits_url)
    hand_over(page, "drop", png(np.full((40, 40), 128, np.uint8)))
    expect(page.locator("#answer")).to_have_text("No ink found")


def test_a_colour_data_set_takes_photos_and_no_drawing(
    open_at: Callable[..., Page], photos_url: str
) -> None:
    page = open_at(photos_url)
    expect(page.locator("#answer")).to_have_text("Show a photo")
    expect(page.locator("#undo")).to_be_hidden()
    photo = np.zeros((120, 100, 3), np.uint8)
    photo[:, 40:60] = (250, 120, 30)
    page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": png(photo)})
    expect(page.locator("#answer")).to_have_text("middle")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#answer")).to_have_text("Show a photo")


@pytest.mark.parametrize("width", [320, 375, 1100])
def test_nothing_is_wider_than_the_window(
    open_at: Callable[..., Page], digits_url: str, width: int
) -> None:
    page = open_at(digits_url, viewport={"width": width, "height": 812})
    draw(page, DIGITS["7"])
    expect(page.locator("#answer")).to_have_text("7")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    if width >= 375:  # the answer can be seen while one draws
        bottom = page.locator("#top").bounding_box()
        assert bottom
        assert bottom["y"] + bottom["height"] < 812


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_background(
    open_at: Callable[..., Page], digits_url: str, scheme: str
) -> None:
    page = open_at(digits_url, color_scheme=scheme)
    colours = page.evaluate(
        """() => ["--page", "--card", "--text", "--muted", "--best", "--unsure"].map(
          (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim())"""
    )
    on_page, on_card, *texts = [luminance(each) for each in colours]
    assert (on_page > 0.5) == (scheme == "light")
    for text in texts:
        for ground in (on_page, on_card):
            bright, dark = max(text, ground), min(text, ground)
            assert (bright + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.2, level AA
    style = "getComputedStyle(document.querySelector('#canvas')).filter"
    assert (page.evaluate(style) == "none") == (scheme == "light")


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb as WCAG 2.2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def test_a_model_that_cannot_be_loaded_is_named(
    browser: Browser, digits_url: str, tmp_path: Path
) -> None:
    write_page(tmp_path / "page", write_digits(tmp_path))
    (tmp_path / "page/model.onnx").write_bytes(b"damaged")
    with serve_folder(tmp_path / "page") as url:
        page = offline_context(browser, url).new_page()
        page.goto(url)
        expect(page.locator("#answer")).to_have_text("The network could not be loaded.")
        page.context.close()


def test_a_missing_model_or_npm_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"model.onnx is missing: .*dvc repro"):
        write_page(tmp_path / "page", tmp_path)
    for name in MODEL_FILES:
        (tmp_path / name).write_bytes(b"")
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"npm is not installed\. Install Node\.js with npm"):
        write_page(tmp_path / "page", tmp_path)
    assert not (tmp_path / "page").exists()


def test_a_runtime_that_was_changed_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = find_runtime()
    cache = tmp_path / "dvc-image-pipeline" / kept.name
    shutil.copytree(kept, cache)
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / project)
    fetched: list[Path] = []
    monkeypatch.setattr(browser_runtime, "fetch_runtime", fetched.append)
    assert find_runtime() == cache
    assert fetched == []
    (cache / next(iter(SHA256))).write_bytes(b"changed")
    find_runtime()
    assert fetched == [cache]


def test_a_machine_without_a_browser_learns_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium-headless-shell"):
        find_browser()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium-headless-shell"):
        find_browser()
