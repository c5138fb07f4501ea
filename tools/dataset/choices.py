"""What dataset.yaml is to say, each value with its reason."""

from __future__ import annotations

import argparse
import json
from typing import Any, NamedTuple

import numpy as np

from stages.shared.errors import UserError
from tools.dataset.found import Found, by, median_size

# Pixels: up to what ImageNet's networks were trained on; from 28 on, every network takes them.
SIDES = (28, 32, 64, 96, 128, 160, 192, 224)
TEST_FRACTION = 0.2
ASKED = "as you asked"


class Choice(NamedTuple):
    value: Any
    reason: str


Choices = dict[str, Choice]


def make_choices(found: Found, asked: argparse.Namespace) -> Choices:
    """Each value by its key. Raises UserError for options at odds with what was found."""
    height, width = choose_size(found, asked.size)
    colour = choose_colour(found, asked.colour, (height.value, width.value))
    return {
        "height": height,
        "width": width,
        "colour": colour,
        "fit": choose_fit(found, asked.fit, colour.value, (height.value, width.value)),
        "background": choose_background(found, asked.background, colour.value),
        **choose_splits(found, asked),
        "skip_bad": choose_skip_bad(asked.skip_bad),
    }


def choose_size(found: Found, asked: tuple[int, int] | None) -> tuple[Choice, Choice]:
    if asked:
        return Choice(asked[0], ASKED), Choice(asked[1], ASKED)
    sides = median_size(found.sizes)
    if found.is_fixed_size:
        if sides[0] == 1:
            raise UserError(f"{sides[1]} pixels an image are no square: say --size HEIGHTxWIDTH")
        reason = "the square that has as many pixels as the table columns"
        return Choice(sides[0], reason), Choice(sides[1], reason)
    low, high = SIDES[0], SIDES[-1]
    if found.is_array and len(found.sizes) == 1 and all(low <= side <= high for side in sides):
        reason = "the arrays' own: they are taken unchanged"
        return Choice(sides[0], reason), Choice(sides[1], reason)
    side = min(SIDES, key=lambda each: abs(each - max(sides)))
    names = ", ".join(map(str, SIDES))
    reason = f"of {names} the nearest to the longer side of the median size, {by(sides)}"
    return Choice(side, reason), Choice(side, reason)


def choose_colour(found: Found, asked: str | None, size: tuple[int, int]) -> Choice:
    if found.is_fixed_size:
        pixels = found.sizes.most_common(1)[0][0]
        count = pixels[0] * pixels[1] * (3 if found.has_colour else 1)
        fitting = {size[0] * size[1]: "grey", 3 * size[0] * size[1]: "rgb"}
        if count not in fitting or (asked and asked != fitting[count]):
            raise UserError(
                f"--size {by(size)}: the table has {count} pixels an image, which no image of this "
                "size and colour has"
            )
        return Choice(fitting[count], f"{count} pixels an image, {by(size)}")
    if asked:
        return Choice(asked, ASKED)
    if found.has_colour:
        return Choice("rgb", "an image has colour")
    return Choice("grey", "no image has colour")


def choose_fit(found: Found, asked: str | None, colour: str, size: tuple[int, int]) -> Choice:
    if asked == "ink" and colour == "rgb":
        raise UserError("--fit ink is for grey images: add --colour grey")
    if asked:
        return Choice(asked, ASKED)
    if set(found.sizes) == {size}:
        return Choice("pad", "idle for these images, which have that size")
    return Choice("pad", "keeps the whole image and its proportions")


def choose_background(found: Found, asked: list[int] | None, colour: str) -> Choice:
    channels = 3 if colour == "rgb" else 1
    if asked:
        if len(asked) not in (1, channels):
            raise UserError(f"--background: expected 1 or {channels} numbers, found {len(asked)}")
        value, reason = (asked if len(asked) == channels else asked * channels), ASKED
    elif found.transparent:
        value, reason = [255] * channels, "white: images are transparent in places"
    elif found.corners and np.median(found.corners) > 127:
        value, reason = [255] * channels, "white: the corners of most images are light"
    else:
        value, reason = [0] * channels, "black: the corners of most images are dark"
    return Choice(value if channels == 3 else value[0], reason)


def choose_splits(found: Found, asked: argparse.Namespace) -> Choices:
    group = Choice(
        found.group or "", ASKED if asked.group else "no images are said to belong together"
    )
    if found.group and not asked.group:
        group = Choice(found.group, "the table has such a column")
    if found.splits["test"]:
        if asked.test_fraction:
            raise UserError(
                f"--test-fraction: the source has {found.splits['test']:,} test images of its own"
            )
        fraction = Choice(0.0, "the source has test images of its own")
    elif asked.test_fraction is not None:
        fraction = Choice(asked.test_fraction, ASKED)
    else:
        fraction = Choice(TEST_FRACTION, "the source has no test images")
    if asked.test_split == "grouped" and not found.group:
        raise UserError("--test-split grouped: say by what, --group COLUMN or --group PATTERN")
    if asked.test_split:
        split = Choice(asked.test_split, ASKED)
    elif found.group:
        split = Choice("grouped", "there are groups")
    else:
        split = Choice("stratified", "as large a share of each class, by chance, always the same")
    return {"test_fraction": fraction, "test_split": split, "group": group}


def choose_skip_bad(asked: bool) -> Choice:
    if asked:
        return Choice(True, f"{ASKED}: images that cannot be read are left out and counted")
    return Choice(False, "an image that cannot be read or contradicts another stops the run")


def describe(choices: Choices) -> list[str]:
    width = max(map(len, choices))
    return [
        f"  {key:{width}}  {json.dumps(choice.value)}: {choice.reason}"
        for key, choice in choices.items()
    ]
