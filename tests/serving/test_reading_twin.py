"""The page reads images as Python does: the same pixels, the same classes."""

import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from browser_page import offline_context, open_page, running_browser, serve_folder
from classifiers import softmax_of, write_network
from PIL import Image, ImageDraw
from playwright.sync_api import Page

from serving.browser_runtime import write_page
from stages.shared.image_reading import fit_image, to_colour
from stages.shared.ink import center_ink
from stages.shared.onnx_model import open_model, predict

DRAWINGS = 1000
CLASSES = list("0123456789")
INK = {"height": 28, "width": 28, "colour": "grey", "fit": "ink", "background": 0}

READ = """async ([url, shapes, images]) => {
  const { readPixels } = await import(url + "image_reading.js");
  const content = new Uint8Array(await (await fetch(url + "images.bin")).arrayBuffer());
  let start = 0;
  return shapes.map(([height, width]) => {
    const values = content.subarray(start, start += 4 * height * width);
    return Array.from(readPixels({ width, height, values }, images));
  });
}"""

PREDICT = """async ([url, images]) => {
  const { openModel } = await import(url + "model.js");
  const { predict } = await openModel();
  const answers = [];
  for (const image of images) answers.push(await predict(Uint8Array.from(image)));
  return answers;
}"""


def random_drawings() -> list[np.ndarray]:
    """Strokes of many widths on sheets of many sizes, in both polarities, and photos of some."""
    random = np.random.default_rng(18)
    drawings = []
    for number in range(DRAWINGS):
        height, width = (int(side) for side in random.integers(16, 320, 2))
        if number % 50 == 0:
            height, width = height + 600, width + 700
        sheet = Image.new("L", (4 * width, 4 * height))
        for _ in range(random.integers(1, 4)):
            points = random.uniform(0.05, 0.95, (random.integers(2, 8), 2))
            line = [(4 * width * x, 4 * height * y) for x, y in points]
            pen = max(1, int(4 * min(height, width) * random.uniform(0.01, 0.2)))
            ImageDraw.Draw(sheet).line(line, fill=255, width=pen, joint="curve")
        ink = np.asarray(sheet.resize((width, height), Image.Resampling.BOX)) / 255
        if number % 5 == 0:
            y, x = np.indices(ink.shape) / max(ink.shape)
            light = random.uniform(120, 220) * (1 + random.uniform(-0.7, 0.7) * (x + y - 1))
            ink = light * (1 - 0.7 * ink) + random.normal(0, random.uniform(0, 5), ink.shape)
            drawings.append(ink.clip(0, 255).astype(np.uint8))
        else:
            drawing = (255 * ink).astype(np.uint8)
            drawings.append(drawing if number % 2 else 255 - drawing)
    return drawings


def write_random_network(folder: Path) -> None:
    """A network of random weights, so that every grey level counts, with ten classes."""
    weights = np.random.default_rng(0).normal(0, 1 / 2000, (784, 10)).astype(np.float32)
    write_network(folder, softmax_of(weights, (28, 28)), classes=CLASSES, images=INK)


class Twin:
    """The page's modules in a browser without a network."""

    def __init__(self, folder: Path, url: str, page: Page) -> None:
        self.folder, self.url, self.page = folder, url, page

    def read(self, pictures: list[np.ndarray], images: dict[str, Any]) -> list[np.ndarray]:
        """What the page makes of pictures (height, width, 4), each (h * w * channels,)."""
        (self.folder / "images.bin").write_bytes(b"".join(each.tobytes() for each in pictures))
        shapes = [list(each.shape[:2]) for each in pictures]
        answers = self.page.evaluate(READ, [self.url, shapes, images])
        return [np.array(each, int) for each in answers]

    def predict(self, images: np.ndarray) -> np.ndarray:
        rows = images.reshape(len(images), -1).tolist()
        return np.array(self.page.evaluate(PREDICT, [self.url, rows]))


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    model, folder = (tmp_path_factory.mktemp(name) for name in ("model", "page"))
    write_random_network(model)
    with running_browser() as browser, serve_folder(folder) as url:
        write_page(folder, model)
        page, _ = open_page(offline_context(browser, url), url)
        yield Twin(folder, url, page)


def rgba(grey: np.ndarray) -> np.ndarray:
    return np.dstack([grey, grey, grey, np.full_like(grey, 255)])


def test_a_thousand_drawings_give_the_same_images_and_the_same_classes(twin: Twin) -> None:
    drawings = random_drawings()
    ours = np.stack([center_ink(each, 28, 28) for each in drawings])
    theirs = np.stack(twin.read([rgba(each) for each in drawings], INK)).reshape(ours.shape)
    differences = np.abs(theirs - ours)
    assert differences.max() <= 1, f"drawings {np.unique(np.nonzero(differences > 1)[0])}"
    assert np.count_nonzero(ours.any(axis=(1, 2))) > 0.95 * DRAWINGS
    in_python = predict(open_model(twin.folder / "model.onnx"), ours)
    in_browser = twin.predict(theirs)
    assert np.abs(in_python - in_browser).max() < 1e-5
    assert np.array_equal(in_python.argmax(axis=1), in_browser.argmax(axis=1))
    assert len(np.unique(in_python.argmax(axis=1))) >= 4


def test_other_sizes_and_blank_images_give_the_same(twin: Twin) -> None:
    blank = [np.full(shape, 90, np.uint8) for shape in ((1, 1), (5, 300), (40, 40))]
    dots = []
    for place in ((0, 0), (30, 12), (59, 39)):
        dot = np.zeros((60, 40), np.uint8)
        dot[place] = 200
        dots.append(dot)
    drawings = [*blank, *dots, *random_drawings()[:30]]
    for height, width in ((12, 10), (20, 40), (64, 64)):
        images = INK | {"height": height, "width": width}
        ours = [center_ink(each, height, width).ravel() for each in drawings]
        theirs = twin.read([rgba(each) for each in drawings], images)
        assert all(np.abs(a - b).max() <= 1 for a, b in zip(theirs, ours, strict=True))


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("colour", ["grey", "rgb"])
def test_photos_are_brought_to_size_as_pillow_does(twin: Twin, fit: str, colour: str) -> None:
    random = np.random.default_rng(3)
    pictures = []
    for height, width in ((32, 24), (100, 37), (61, 250), (9, 7), (1, 80), (24, 24), (300, 301)):
        noise = random.integers(0, 256, (height, width, 4), dtype=np.uint8)
        smooth = np.asarray(
            Image.fromarray(noise[: height // 4 + 1, : width // 4 + 1]).resize((width, height))
        )
        pictures += [noise, smooth]
    images = {
        "height": 32, "width": 24, "colour": colour, "fit": fit,
        "background": 200 if colour == "grey" else [10, 120, 250],
    }  # fmt: skip
    as_stage: Any = SimpleNamespace(**images)
    theirs = twin.read(pictures, images)
    for picture, found in zip(pictures, theirs, strict=True):
        ours = fit_image(to_colour(Image.fromarray(picture), as_stage), as_stage)
        assert np.abs(found - ours.ravel()).max() <= 1


def test_a_png_that_the_browser_decodes_gives_what_python_reads(twin: Twin) -> None:
    file = io.BytesIO()
    drawing = random_drawings()[1]
    Image.fromarray(drawing).save(file, "PNG")
    twin.page.set_input_files(
        "#file", {"name": "a.png", "mimeType": "image/png", "buffer": file.getvalue()}
    )
    twin.page.wait_for_selector("body[data-answer]")
    seen = twin.page.evaluate(
        "() => Array.from(document.querySelector('#seen').getContext('2d')"
        ".getImageData(0, 0, 28, 28).data).filter((_, i) => i % 4 === 0)"
    )
    assert np.abs(np.array(seen) - center_ink(drawing, 28, 28).ravel()).max() <= 1
