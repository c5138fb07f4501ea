"""The networks. Each is a function of its block in params.yaml and shows its layers.

A network takes uint8 images, grey (batch, height, width) or in colour (batch, height, width, 3),
and gives probabilities (batch, classes): scaling and flattening are its first layers, so that the
saved model needs no preprocessing.
Layers are named here: Keras' automatic names depend on what else the process has built.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import keras
from keras import layers

from stages.shared.errors import UserError
from stages.train.backbone import build_backbone

if TYPE_CHECKING:
    from stages.run.params import Model
    from stages.train.batches import Part

# Images above 28 x 28 leave many places: of 128 x 128 the default cnn leaves 26 x 26 with 128
# values each, 86 million weights for 1,000 classes. Their mean has 128,000 and trains as well.
LARGEST_FLATTENED = 28 * 28  # pixels of an image

LAST_LAYER = "probabilities"
MOMENTUM = 0.9  # of the moving statistics; Keras' 0.99 lags hundreds of weight updates behind


def network_maker(model: Model, training: Part, validation: Part) -> Callable[[], keras.Model]:
    """What makes the chosen network for these images and all classes of their labels."""
    shape, classes = training[0].shape[1:], count_classes(training, validation)
    block = vars(getattr(model, model.name))
    return partial(build_network, model.name, shape, classes, **block)


def count_classes(training: Part, validation: Part) -> int:
    return 1 + int(max(training[1].max(), validation[1].max()))


def build_network(
    name: str, image_shape: tuple[int, ...], classes: int, **block: Any
) -> keras.Model:
    """The network `name` for images (height, width[, 3]) with the arguments of its block."""
    images = keras.Input(image_shape, dtype="uint8", name="images")
    x = ARCHITECTURES[name](images, **block)
    # In float32 whatever the precision: bfloat16 has three digits.
    probabilities = layers.Dense(classes, activation="softmax", dtype="float32", name=LAST_LAYER)
    return keras.Model(images, probabilities(x), name=name)


def scale_pixels(images: keras.KerasTensor) -> keras.KerasTensor:
    """From 0 to 255 to 0 to 1."""
    return layers.Rescaling(1 / 255, name="scale")(images)


def mlp(
    images: keras.KerasTensor, units: list[int], dropout: list[float], batch_normalization: bool
) -> keras.KerasTensor:
    """Fully connected layers with ReLU, each followed by its dropout."""
    x = layers.Flatten(name="flatten")(scale_pixels(images))
    for number, (width, share) in enumerate(zip(units, dropout, strict=True), start=1):
        if batch_normalization:
            x = layers.Dense(width, use_bias=False, name=f"dense_{number}")(x)
            x = layers.BatchNormalization(momentum=MOMENTUM, name=f"normalization_{number}")(x)
            x = layers.ReLU(name=f"relu_{number}")(x)
        else:
            x = layers.Dense(width, activation="relu", name=f"dense_{number}")(x)
        if share:
            x = layers.Dropout(share, name=f"dropout_{number}")(x)
    return x


def cnn(
    images: keras.KerasTensor,
    filters: list[int],
    kernels: list[int],
    strides: list[int],
    dropout: float,
    batch_normalization: bool,
) -> keras.KerasTensor:
    """Convolutions with ReLU; one with a stride above 1 is padded, others trim the border.

    Raises UserError if the layers shrink the image below a kernel.
    """
    size, x = images.shape[1:3], scale_pixels(images)
    refuse_small_images(size, kernels, strides)
    if len(x.shape) == 3:
        x = layers.Reshape((*size, 1), name="grey")(x)
    rows = enumerate(zip(filters, kernels, strides, strict=True), start=1)
    for number, (width, kernel, stride) in rows:
        padding = "same" if stride > 1 else "valid"
        x = layers.Conv2D(
            width, kernel, stride, padding, use_bias=not batch_normalization, name=f"conv_{number}"
        )(x)
        if batch_normalization:
            x = layers.BatchNormalization(momentum=MOMENTUM, name=f"normalization_{number}")(x)
        x = layers.ReLU(name=f"relu_{number}")(x)
        if dropout and (stride > 1 or number == len(filters)):
            x = layers.Dropout(dropout, name=f"dropout_{number}")(x)
    if math.prod(size) > LARGEST_FLATTENED:
        return layers.GlobalAveragePooling2D(name="mean")(x)
    return layers.Flatten(name="flatten")(x)


def pretrained(
    images: keras.KerasTensor,
    backbone: str,
    side: int,
    dropout: float,
    tuned_blocks: int,
    **_training: Any,
) -> keras.KerasTensor:
    """A backbone that was trained on ImageNet; stages/train/pretrained.py gives it its weights."""
    x = build_backbone(backbone, images.shape[1:], side, tuned_blocks)(images)
    return layers.Dropout(dropout, name="dropout")(x) if dropout else x


def refuse_small_images(size: tuple[int, int], kernels: list[int], strides: list[int]) -> None:
    """Raise UserError, with kernels that fit, if the cnn leaves a layer less than its kernel."""
    left, fitting, problem = size, list[int](), ""
    for number, (kernel, stride) in enumerate(zip(kernels, strides, strict=True), start=1):
        fits = kernel if stride > 1 else min(kernel, *left)
        if fits < kernel and not problem:
            problem = (
                f"the layers before leave {left[0]} x {left[1]} pixels of an image to layer "
                f"{number} with a kernel of {kernel}"
            )
        fitting.append(fits)
        left = shrink(left, fits, stride)
    if problem:
        raise UserError(
            f"model.cnn: {problem}. Kernels that fit images of {size[0]} x {size[1]} pixels: "
            f"{fitting}. Fewer layers fit as well, or larger images (dataset.yaml, images)"
        )


def shrink(size: tuple[int, int], kernel: int, stride: int) -> tuple[int, int]:
    """What a convolution leaves of (height, width): padded with a stride above 1, else trimmed."""
    height, width = size
    if stride > 1:
        return math.ceil(height / stride), math.ceil(width / stride)
    return height - kernel + 1, width - kernel + 1


ARCHITECTURES: dict[str, Callable[..., keras.KerasTensor]] = {
    "mlp": mlp,
    "cnn": cnn,
    "pretrained": pretrained,
}


def average_networks(networks: Sequence[keras.Model]) -> keras.Model:
    """One network that gives the mean of the probabilities; one alone is returned unchanged."""
    if len(networks) == 1:
        return networks[0]
    taken = networks[0].input
    images = keras.Input(taken.shape[1:], dtype=taken.dtype, name=taken.name)
    for number, network in enumerate(networks, start=1):
        network.name = f"member_{number}"
    members = [network(images) for network in networks]
    return keras.Model(images, layers.Average(name=LAST_LAYER)(members), name="ensemble")
