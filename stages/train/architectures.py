"""The networks. Each is a function of its block in params.yaml and shows its layers.

A network takes uint8 images (batch, height, width) and gives probabilities (batch, classes):
scaling and flattening are its first layers, so that the saved model needs no preprocessing.
Layers are named here: Keras' automatic names depend on what else the process has built.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import keras
from keras import layers

from stages.shared.errors import UserError

if TYPE_CHECKING:
    from stages.run.params import Model
    from stages.train.batches import Part

MOMENTUM = 0.9  # of the moving statistics; Keras' 0.99 lags hundreds of weight updates behind


def network_maker(model: Model, training: Part, validation: Part) -> Callable[[], keras.Model]:
    """What makes the chosen network for these images and all classes of their labels."""
    shape, classes = training[0].shape[1:], 1 + int(max(training[1].max(), validation[1].max()))
    block = vars(getattr(model, model.name))
    return partial(build_network, model.name, shape, classes, **block)


def build_network(
    name: str, image_shape: tuple[int, ...], classes: int, **block: object
) -> keras.Model:
    """The network `name` for images of (height, width) with the arguments of its block."""
    images = keras.Input(image_shape, dtype="uint8", name="images")
    x = layers.Rescaling(1 / 255, name="scale")(images)
    x = ARCHITECTURES[name](x, **block)
    # In float32 whatever the precision: bfloat16 has three digits.
    probabilities = layers.Dense(
        classes, activation="softmax", dtype="float32", name="probabilities"
    )
    return keras.Model(images, probabilities(x), name=name)


def mlp(
    x: keras.KerasTensor, units: list[int], dropout: list[float], batch_normalization: bool
) -> keras.KerasTensor:
    """Fully connected layers with ReLU, each followed by its dropout."""
    x = layers.Flatten(name="flatten")(x)
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
    x: keras.KerasTensor,
    filters: list[int],
    kernels: list[int],
    strides: list[int],
    dropout: float,
    batch_normalization: bool,
) -> keras.KerasTensor:
    """Convolutions with ReLU; one with a stride above 1 is padded, others trim the border."""
    x = layers.Reshape((*x.shape[1:], 1), name="grey")(x)
    rows = enumerate(zip(filters, kernels, strides, strict=True), start=1)
    for number, (width, kernel, stride) in rows:
        padding = "same" if stride > 1 else "valid"
        if padding == "valid" and kernel > min(x.shape[1:3]):
            raise UserError(
                f"model.cnn: the layers before leave {x.shape[1]} x {x.shape[2]} pixels of an "
                f"image to layer {number} with a kernel of {kernel}: give fewer or smaller ones"
            )
        x = layers.Conv2D(
            width, kernel, stride, padding, use_bias=not batch_normalization, name=f"conv_{number}"
        )(x)
        if batch_normalization:
            x = layers.BatchNormalization(momentum=MOMENTUM, name=f"normalization_{number}")(x)
        x = layers.ReLU(name=f"relu_{number}")(x)
        if dropout and (stride > 1 or number == len(filters)):
            x = layers.Dropout(dropout, name=f"dropout_{number}")(x)
    return layers.Flatten(name="flatten")(x)


ARCHITECTURES: dict[str, Callable[..., keras.KerasTensor]] = {"mlp": mlp, "cnn": cnn}


def average_networks(networks: Sequence[keras.Model]) -> keras.Model:
    """One network that gives the mean of the probabilities; one alone is returned unchanged."""
    if len(networks) == 1:
        return networks[0]
    images = keras.Input(networks[0].input.shape[1:], dtype="uint8", name="images")
    for number, network in enumerate(networks, start=1):
        network.name = f"member_{number}"
    members = [network(images) for network in networks]
    return keras.Model(images, layers.Average(name="probabilities")(members), name="ensemble")
