"""`fit: ink`: a drawing or a photo of a character, brought to the form of MNIST's images.

Y. LeCun et al. scaled each bilevel character to fit a box of 20 x 20 pixels, keeping its aspect,
with anti-aliasing, and moved its centre of mass to the middle of 28 x 28. So do these functions,
for ink of either polarity, any size and any pen: they find the ink on its background, draw it at
four times the resolution with a stroke about as thick as MNIST's, and average.

serving/page/ink.js is the same in JavaScript. So that both give the same result, everything is
computed in whole numbers: arrays of float64 hold integers below 2**53, for which sums, products
and rounded divisions are exact in any order.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Whole = npt.NDArray[np.float64]  # whole numbers

MOST_PIXELS = 512  # on a side: what is larger is reduced by block means first
FINE = 4  # rows and columns of the fine drawing to a pixel of the result
BOX_SHARE = 20 / 28  # of the result's height and width for the box of the ink

# What is background. The contrast is that between the image's darkest and brightest pixel.
SAME_LEVEL = 1 / 32  # of the contrast: pixels that differ by less have the same level
PLAIN_BORDER = 1 / 4  # of the border has the background's level in a drawing, not in a photo
PLAIN_QUARTER = 1 / 32  # likewise, of the border in each quarter of the image
GRID = 32  # blocks along the longer side, in which a photo's background is sought
TREND = 8  # blocks on each side whose median is the light's; ink covers less than half of them
CLOSING = 4  # blocks on each side that strokes may cover
SPARED = 4096  # one pixel of so many may be noise, and does not count as the strongest ink
LEAST_CONTRAST = 16  # of 255, between ink and background: below, the image is blank
NOISE_CONTRAST = 8  # times the median difference along a photo's border, likewise
SHADE = 1 / 3  # of the ink's strength in a photo: what is fainter is shade

BOX_LEVEL = 0.5  # of the ink's strength: what is fainter does not count to its box
PHOTO_BOX_LEVEL = 0.25  # likewise, above shade
MARGIN = 8  # fine rows and columns around the box, which faint ink may take
PALE, FULL = 0.1, 0.9  # of the strongest ink: up to here it is background, from here full ink

# Thickness of a stroke as a share of the box. MNIST's are 0.09 to 0.19 (5th and 95th percentile).
THIN, THICK = 0.105, 0.16
MOST_THINNING = 0.075  # of the box, from each side of a stroke


def center_ink(grey: Image, height: int, width: int) -> Image:
    """The ink of `grey`, uint8 (h, w), bright on 0 as in MNIST: uint8 (height, width).

    Ink may be brighter or darker than its background. An image without ink gives zeros. One
    that has MNIST's form already keeps it, to the last grey level.
    """
    if is_formed(grey, height, width):
        return grey.copy()
    strength, drawn = find_ink(reduce_blocks(grey.astype(np.float64), MOST_PIXELS))
    if not strength.any():
        return np.zeros((height, width), np.uint8)
    if drawn and has_form(strength, height, width):
        return strength.astype(np.uint8)
    level = BOX_LEVEL if drawn else PHOTO_BOX_LEVEL
    top, bottom, left, right = find_box(strength, level * robust_peak(strength))
    rows, columns = bottom - top, right - left
    # The fine drawing's box, as long as it may be in the direction that is the tighter one.
    most_rows, most_columns = BOX_SHARE * height * FINE, BOX_SHARE * width * FINE
    upright = rows * most_columns >= columns * most_rows
    most = round_half_up(most_rows if upright else most_columns)
    share = columns / rows if upright else rows / columns

    def draw(change: int) -> Whole:
        """The ink in the box and MARGIN around it, with room for strokes to change by so much."""
        longer, shorter = most - 2 * change, max(1, round_half_up((most - 2 * change) * share))
        tall, wide = (longer, shorter) if upright else (shorter, longer)
        half_way = resample(strength, top, bottom, tall, MARGIN + change)
        drawing = resample(half_way.T, left, right, wide, MARGIN + change).T
        return thicken(stretch_contrast(drawing), change)

    drawing = draw(0)
    change = stroke_change(drawing, most)
    return place(draw(change) if change else drawing, height, width)


def round_half_up(value: float) -> int:
    return int(np.floor(value + 0.5))


def divide(dividends: Whole, divisors: Any) -> Whole:
    """Quotients of whole numbers, rounded to the nearest one, halves up."""
    quotients: Whole = np.floor((2 * dividends + divisors) / (2 * divisors))
    return quotients


def reduce_blocks(grey: Whole, most: int) -> Whole:
    """Means of square blocks, as large as it takes for at most `most` on the longer side."""
    block = -(-max(grey.shape) // most)
    if block == 1:
        return grey
    starts = [np.arange(0, length, block) for length in grey.shape]
    sums = np.add.reduceat(np.add.reduceat(grey, starts[0], axis=0), starts[1], axis=1)
    rows, columns = (
        np.diff(start, append=length) for start, length in zip(starts, grey.shape, strict=True)
    )
    return divide(sums, np.outer(rows, columns).astype(np.float64))


def find_ink(grey: Whole) -> tuple[Whole, bool]:
    """How much darker or brighter than the background each pixel's ink is; whether it is a drawing.

    The background of a drawing is one level, the least or the greatest of the image. Anything else
    is a photo. The fainter part of its contrast is shade, not ink. Without ink, all is 0.
    """
    plain = plain_background(grey)
    strength = photographed_ink(grey) if plain is None else np.abs(grey - plain)
    peak = robust_peak(strength)
    if plain is not None:
        return (strength if peak >= LEAST_CONTRAST else 0 * strength), True
    noise = middle(strength[border_mask(grey.shape)])
    if peak < max(LEAST_CONTRAST, NOISE_CONTRAST * noise):
        return 0 * strength, False
    return np.maximum(strength - round_half_up(SHADE * peak), 0), False


def plain_background(grey: Whole) -> float | None:
    """The background's level, if much of the border has it, and some of it in each quarter."""
    low, high = float(grey.min()), float(grey.max())
    near = (high - low) * SAME_LEVEL
    dark = [border <= low + near for border in quarter_borders(grey)]
    bright = [border >= high - near for border in quarter_borders(grey)]
    more = max((dark, bright), key=lambda sides: sum(np.count_nonzero(side) for side in sides))
    pixels = sum(side.size for side in more)
    if sum(np.count_nonzero(side) for side in more) < PLAIN_BORDER * pixels:
        return None
    if any(np.count_nonzero(side) < PLAIN_QUARTER * side.size for side in more):
        return None
    return low if more is dark else high


def photographed_ink(grey: Whole) -> Whole:
    """How far each pixel of a photo lies beyond the paper's level around it, on the ink's side.

    Dark ink takes a share of the light that falls on it, so its strength is that share, of 255.
    """
    paper = smooth(grey)
    difference = paper - enlarge(trend_of(reduce_blocks(paper, GRID)), paper.shape)
    if robust_peak(np.maximum(difference, 0)) >= robust_peak(np.maximum(-difference, 0)):
        paper = 255 - paper  # bright ink, as chalk
        return np.maximum(local_background(paper) - paper, 0)
    light = local_background(paper)
    return divide(255 * np.maximum(light - paper, 0), np.maximum(light, 1))


def quarter_borders(grey: Whole) -> list[Whole]:
    """The pixels (count,) on the border of each quarter: top left, top right, bottom left, ..."""
    height, width = grey.shape
    mask = border_mask(grey.shape)
    parts = [
        (rows, columns)
        for rows in (slice(0, (height + 1) // 2), slice(height // 2, height))
        for columns in (slice(0, (width + 1) // 2), slice(width // 2, width))
    ]
    return [grey[part][mask[part]] for part in parts]


def local_background(paper: Whole) -> Whole:
    """The grey level of the paper at each pixel, below dark ink: a morphological closing.

    It is computed on block means, GRID to the longer side, less the light's trend, and removes
    strokes narrower than 2 CLOSING + 1 blocks.
    """
    grid = reduce_blocks(paper, GRID)
    trend = trend_of(grid)
    # From 0 to 510. Of light that falls off, closing itself would take the edge for ink.
    rest = grid - trend + 255
    closed = 510 - spread(510 - spread(rest, CLOSING, 0), CLOSING, 0)
    return enlarge(np.minimum(closed - 255 + trend, 255), paper.shape)


def trend_of(grid: Whole) -> Whole:
    """The light at each block of a photo, whatever the ink: the median of the blocks around it.

    Beyond the edges the image is mirrored in place and value, so that a slope goes on.
    """
    padded = mirror_rows(mirror_rows(grid).T).T
    side = 2 * TREND + 1
    around = np.lib.stride_tricks.sliding_window_view(padded, (side, side))
    place = side * side // 2
    medians = np.partition(around.reshape(*grid.shape, side * side), place)[..., place]
    return np.clip(medians, 0, 255)


def mirror_rows(grid: Whole) -> Whole:
    """TREND more rows at the top and at the bottom, mirrored at the first and the last one."""
    last = len(grid) - 1
    inwards = np.minimum(np.arange(1, TREND + 1), last)
    above, below = 2 * grid[0] - grid[inwards[::-1]], 2 * grid[last] - grid[last - inwards]
    return np.concatenate([above, grid, below])


def enlarge(grid: Whole, shape: tuple[int, ...]) -> Whole:
    """Block means as an image of that shape, by linear interpolation."""
    for length in shape:
        edges = np.pad(grid, ((1, 1), (0, 0)), mode="edge")
        grid = resample(edges, 1, len(grid) + 1, length).T
    return grid


def border_mask(shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Which pixels lie on the border: a 32nd of the shorter side wide, at least 1 pixel."""
    height, width = shape
    wide = max(1, min(height, width) // 32)
    mask = np.ones(shape, np.bool_)
    mask[wide : height - wide, wide : width - wide] = False
    return mask


def middle(values: Whole) -> float:
    """The median; of an even count, the upper of the two in the middle."""
    return value_at(values, len(values) // 2)


def smooth(grey: Whole) -> Whole:
    """Means of 3 x 3 pixels; the border is repeated outwards."""
    padded = np.pad(grey, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return divide(rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:], 9)


def robust_peak(strength: Whole) -> float:
    """The ink's strength: its greatest value but for a few pixels that may be noise."""
    spared = min(strength.size // SPARED, int(np.count_nonzero(strength)) // 4)
    return value_at(strength.ravel(), strength.size - 1 - spared)


def value_at(values: Whole, rank: int) -> float:
    """The value, from 0 to 255, that would be at place `rank` if `values` were sorted.

    Counting takes 1 ms; np.partition takes 35 where most values are equal.
    """
    counts = np.bincount(values.astype(np.intp))
    return float(np.searchsorted(counts.cumsum(), rank, side="right"))


def find_box(strength: Whole, level: float) -> tuple[int, int, int, int]:
    """The rows from top to bottom and columns from left to right, ends excluded, with ink."""
    rows = np.flatnonzero(strength.max(axis=1) > level)
    columns = np.flatnonzero(strength.max(axis=0) > level)
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def is_formed(grey: Image, height: int, width: int) -> bool:
    """Whether the image can be seen to have MNIST's form as it is: most of MNIST's own, in a third
    of the time that the search for ink and background takes to the same result.
    """
    if grey.shape != (height, width) or grey.size >= SPARED or max(grey.shape) > MOST_PIXELS:
        return False
    border = (grey[0], grey[-1], grey[:, 0], grey[:, -1])
    return not any(side.any() for side in border) and has_form(
        grey.astype(np.float64), height, width
    )


def has_form(strength: Whole, height: int, width: int) -> bool:
    """Whether ink of full strength has MNIST's size and place already, within a pixel."""
    if strength.shape != (height, width) or strength.max() < 192:
        return False
    top, bottom, left, right = find_box(strength, 0)
    size = max((bottom - top) / height, (right - left) / width)
    total = strength.sum()
    off_centre = [
        abs(2 * (strength.sum(axis=1 - axis) * (2 * np.arange(n) + 1)).sum() - 2 * (n + 1) * total)
        for axis, n in enumerate((height, width))
    ]
    return bool(abs(size - BOX_SHARE) * max(height, width) < 1.01 and max(off_centre) <= 3 * total)


def resample(values: Whole, start: int, stop: int, count: int, margin: int = 0) -> Whole:
    """Rows `start` to `stop` of `values` (rows, columns) as `count` rows: (count, columns).

    With `margin` more of them on each side. Beyond the edges of `values`, all is 0.
    A triangular filter: linear interpolation when it enlarges, anti-aliasing when it reduces.
    Lengths are in units of 1 / (2 count) of a row, so that they are whole numbers.
    """
    length = stop - start
    steps = np.arange(-margin, count + margin)
    centres = 2.0 * count * start + (2 * steps + 1) * length
    reach = 2.0 * max(count, length)
    beyond = (margin * length + 2 * max(count, length)) // count + 2  # rows that may be asked for
    rows = (2 * np.arange(-beyond, len(values) + beyond) + 1.0) * count
    weights = np.maximum(reach - np.abs(centres[:, np.newaxis] - rows), 0)
    totals = weights.sum(axis=1, keepdims=True)
    weights = weights[:, beyond : beyond + len(values)]
    used = np.flatnonzero(weights.any(axis=0))
    some = slice(used[0], used[-1] + 1)
    return divide(weights[:, some] @ np.ascontiguousarray(values[some]), totals)


def stretch_contrast(drawing: Whole) -> Whole:
    """Background to 0 and ink to 255, with a ramp between them for the edges of strokes."""
    peak = max(float(drawing.max()), 1.0)
    low, high = round_half_up(PALE * peak), round_half_up(FULL * peak)
    return np.clip(divide((drawing - low) * 255, max(high - low, 1)), 0, 255)


def stroke_change(drawing: Whole, longer: int) -> int:
    """By how many fine pixels to thicken strokes on each side; below 0, to thin them.

    A stroke's thickness is about twice its area over its outline. The outline is the sum of all
    steps between neighbouring pixels; over all directions, those are 4 / pi times its length. The
    box grows with the stroke, so the ink is drawn smaller first: such that its strokes are as thick
    as they should be once the box has its full size.
    """
    padded = np.pad(drawing, 1)
    steps = np.abs(np.diff(padded, axis=0)).sum() + np.abs(np.diff(padded, axis=1)).sum()
    thickness = min(8 * float(drawing.sum()) / (np.pi * float(steps)), 0.45 * longer)
    wanted = min(max(thickness, THIN * longer), THICK * longer)
    change = round_half_up((longer - longer * (longer - wanted) / (longer - thickness)) / 2)
    return max(change, -round_half_up(MOST_THINNING * longer))


def thicken(drawing: Whole, change: int) -> Whole:
    """Strokes wider by `change` pixels on each side, or thinner if it is below 0."""
    return spread(drawing, change, 0) if change >= 0 else 255 - spread(255 - drawing, -change, 255)


def spread(values: Whole, times: int, outside: int) -> Whole:
    """Maxima of each pixel's neighbours, of four and of eight in turn: nearly a disc."""
    for time in range(times):
        padded = np.pad(values, 1, constant_values=outside)
        rows = np.maximum(np.maximum(padded[:-2], padded[2:]), padded[1:-1])
        if time % 2:
            values = np.maximum(np.maximum(rows[:, :-2], rows[:, 2:]), rows[:, 1:-1])
        else:
            sides = np.maximum(padded[1:-1, :-2], padded[1:-1, 2:])
            values = np.maximum(rows[:, 1:-1], sides)
    return values


def place(drawing: Whole, height: int, width: int) -> Image:
    """Means of FINE x FINE pixels: the box on whole pixels, its centre of mass in the middle.

    `drawing` is the box with MARGIN around it. Where the box would cross an edge, it is moved back.
    """
    result = drawing
    for length in (height, width):  # rows first, then the columns of what is turned
        count, total = len(result), result.sum()
        moment = (result.sum(axis=1) * (2 * np.arange(count) + 1)).sum()
        start = round_half_up((FINE * (length + 1) * total - moment) / (2 * FINE * total))
        start = FINE * max(-MARGIN // FINE, min(start, length - -(-(count - MARGIN) // FINE)))
        canvas = np.zeros((FINE * length, result.shape[1]))
        first, end = max(0, -start), min(count, FINE * length - start)  # rows that have a place
        canvas[start + first : start + end] = result[first:end]
        result = canvas.reshape(length, FINE, -1).sum(axis=1).T
    return divide(result, FINE * FINE).astype(np.uint8)
