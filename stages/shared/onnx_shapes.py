"""The shape of what each operator gives: so that no file asks for more memory than is known before.

Each rule says what train writes of an operator and nothing else. Shapes are those of one image: the
first dimension, the batch, is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Shape = tuple[int, ...]
Weight = npt.NDArray[Any]
Attributes = dict[str, Any]  # by name: an integer, several, or bytes of a word or of a float

LARGEST_SIDE = 1024  # pixels, as in dataset.yaml
MOST_VALUES = 256 * LARGEST_SIDE**2  # of an image, given by one operator: 1 GB
FLOAT32 = 1  # ONNX's number of the type
MOST_TOGETHER = 3  # values that become one: the colours of a grey image


def shape_of_output(
    operator: str, values: Sequence[Shape], weights: Sequence[Weight], attributes: Attributes
) -> Shape:
    """The shape that an operator gives of values and of weights that follow them.

    Raises ValueError for an operator, or a use of one, that train does not write.
    """
    if operator not in RULES:
        raise ValueError(f"the operator {operator!r} is not one of its layers'")
    known, rule = RULES[operator]
    unknown = attributes.keys() - known
    if unknown:
        raise ValueError(
            f"{operator} has an attribute {min(unknown)!r}, which train does not write"
        )
    try:
        shape = rule(values, weights, attributes)
    except (IndexError, KeyError, TypeError, ValueError):  # too few of something, or another kind
        shape = None
    if shape is None or min(shape, default=1) < 1 or math.prod(shape) > MOST_VALUES:
        taken = [*values, *(weight.shape for weight in weights)]
        raise ValueError(f"the operator {operator} takes {taken} with {attributes}")
    return shape


Rule = Callable[[Sequence[Shape], Sequence[Weight], Attributes], Shape | None]


def same(scalars: int) -> Rule:
    """The rule of an operator that keeps the shape, with so many weights of one value."""

    def rule(values: Sequence[Shape], weights: Sequence[Weight], _: Attributes) -> Shape | None:
        fits = len(values) == 1 and [weight.shape for weight in weights] == [()] * scalars
        return values[0] if fits else None

    return rule


def of_sum(values: Sequence[Shape], weights: Sequence[Weight], _: Attributes) -> Shape | None:
    """A value and a number, or two values of one shape: of unlike ones, sizes would multiply."""
    if len(values) == 2 and not weights:
        return values[0] if values[0] == values[1] else None
    return same(1)(values, weights, _)


def of_cast(values: Sequence[Shape], weights: Sequence[Weight], a: Attributes) -> Shape | None:
    return same(0)(values, weights, a) if a["to"] == FLOAT32 else None


def of_mean(values: Sequence[Shape], weights: Sequence[Weight], _: Attributes) -> Shape | None:
    """Of the members' probabilities."""
    fits = not weights and len(set(values)) == 1 and len(values[0]) == 1
    return values[0] if fits else None


def of_softmax(values: Sequence[Shape], weights: Sequence[Weight], a: Attributes) -> Shape | None:
    fits = len(values[0]) == 1 and a.get("axis", -1) == -1  # 0 would be the batch
    return same(0)(values, weights, a) if fits else None


def of_normalization(
    values: Sequence[Shape], weights: Sequence[Weight], _: Attributes
) -> Shape | None:
    (shape,) = values
    channels = [(shape[0],)] * 4  # scale, shift, mean, variance
    return shape if [weight.shape for weight in weights] == channels else None


def of_reshape(values: Sequence[Shape], weights: Sequence[Weight], _: Attributes) -> Shape | None:
    (shape,), (target,) = values, weights
    first, *others = target.tolist()
    return tuple(others) if first == -1 and math.prod(others) == math.prod(shape) else None


def of_transposition(
    values: Sequence[Shape], weights: Sequence[Weight], attributes: Attributes
) -> Shape | None:
    (shape,), order = values, attributes["perm"]
    if weights or sorted(order) != list(range(len(shape) + 1)) or order[0]:
        return None
    return tuple(shape[place - 1] for place in order[1:])


def of_flattening(
    values: Sequence[Shape], weights: Sequence[Weight], attributes: Attributes
) -> Shape | None:
    (shape,) = values
    return (math.prod(shape),) if not weights and attributes.get("axis", 1) == 1 else None


def of_product(values: Sequence[Shape], weights: Sequence[Weight], _: Attributes) -> Shape | None:
    (shape,), kernel = values, weights[0].shape
    if len(kernel) != 2 or shape != kernel[:1]:
        return None
    return kernel[1:] if [bias.shape for bias in weights[1:]] in ([], [kernel[1:]]) else None


def of_convolution(
    values: Sequence[Shape], weights: Sequence[Weight], attributes: Attributes
) -> Shape | None:
    """Images (channels, height, width), a kernel (out, in, height, width), in groups or not."""
    (shape,), kernel = values, weights[0].shape
    strides, pads = attributes["strides"], attributes["pads"]
    groups = attributes.get("group", 1)
    if (
        len(shape) != 3
        or len(kernel) != 4
        or attributes["kernel_shape"] != list(kernel[2:])
        or groups not in (1, shape[0])
        or (kernel[1] * groups, kernel[0] % groups) != (shape[0], 0)
        or [bias.shape for bias in weights[1:]] not in ([], [kernel[:1]])
        or min(strides) < 1
        or not all(0 <= pad < size for pad, size in zip(pads, kernel[2:] * 2, strict=True))
    ):
        return None
    padded = [size + pads[side] + pads[side + 2] for side, size in enumerate(shape[1:])]
    sizes = zip(padded, kernel[2:], strides, strict=True)
    return kernel[0], *((size - width) // stride + 1 for size, width, stride in sizes)


def of_pooling(values: Sequence[Shape], weights: Sequence[Weight], _: Attributes) -> Shape | None:
    (shape,) = values
    return (shape[0], 1, 1) if not weights and len(shape) == 3 else None


def of_concatenation(
    values: Sequence[Shape], weights: Sequence[Weight], attributes: Attributes
) -> Shape | None:
    """Values of one shape, one after the other along the last dimension."""
    *others, last = values[0]
    fits = len(set(values)) == 1 and len(values) <= MOST_TOGETHER and attributes["axis"] == -1
    return (*others, last * len(values)) if fits and not weights else None


def of_resizing(
    values: Sequence[Shape], weights: Sequence[Weight], attributes: Attributes
) -> Shape | None:
    """Images (channels, height, width) enlarged by a scale for each dimension.

    The region of interest, which ONNX has before the scales, is left out.
    """
    (shape,), (region, scales) = values, weights
    half_pixel = (attributes["mode"], attributes["coordinate_transformation_mode"]) == (
        b"linear",
        b"half_pixel",
    )
    if len(shape) != 3 or region.size or scales.shape != (4,) or not half_pixel:
        return None
    if not (scales[:2] == 1).all() or not ((scales >= 1) & (scales <= LARGEST_SIDE)).all():
        return None
    sides = [
        np.floor(scale * np.float32(size))
        for scale, size in zip(scales[2:], shape[1:], strict=True)
    ]
    return (shape[0], *map(int, sides)) if max(sides) <= LARGEST_SIDE else None


# By operator: its attributes and its rule.
RULES: dict[str, tuple[set[str], Rule]] = {
    "Add": (set(), of_sum),
    "BatchNormalization": ({"epsilon"}, of_normalization),
    "Cast": ({"to"}, of_cast),
    "Clip": (set(), same(2)),
    "Concat": ({"axis"}, of_concatenation),
    "Conv": ({"kernel_shape", "strides", "pads", "group"}, of_convolution),
    "Flatten": ({"axis"}, of_flattening),
    "Gemm": (set(), of_product),
    "GlobalAveragePool": (set(), of_pooling),
    "Mean": (set(), of_mean),
    "Mul": (set(), same(1)),
    "Relu": (set(), same(0)),
    "Reshape": (set(), of_reshape),
    "Resize": ({"mode", "coordinate_transformation_mode"}, of_resizing),
    "Softmax": ({"axis"}, of_softmax),
    "Transpose": ({"perm"}, of_transposition),
}
