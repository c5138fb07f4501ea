"""The networks. Each is a function of its block in params.yaml and shows its layers.

A network takes uint8 images (batch, height, width) and gives probabilities (batch, classes):
scaling and flattening are its first layers, so that what is saved can be used as it is. Layers
have names of their own: Keras' automatic ones depend on what else the process has built.
"""

from collections.abc import Callable

import keras
from keras import layers


def build(name: str, image_shape: tuple[int, ...], classes: int, **block: object) -> keras.Model:
    """The network `name` for images of (height, width) with the arguments of its block."""
    images = keras.Input(image_shape, dtype="uint8", name="images")
    return keras.Model(images, ARCHITECTURES[name](images, classes, **block), name=name)


def mlp(
    images: keras.KerasTensor, classes: int, units: list[int], dropout: list[float]
) -> keras.KerasTensor:
    """Fully connected layers with ReLU, each followed by its dropout."""
    x = layers.Rescaling(1 / 255, name="scale")(images)
    x = layers.Flatten(name="flatten")(x)
    for number, (width, share) in enumerate(zip(units, dropout, strict=True), start=1):
        x = layers.Dense(width, activation="relu", name=f"dense_{number}")(x)
        if share:
            x = layers.Dropout(share, name=f"dropout_{number}")(x)
    return layers.Dense(classes, activation="softmax", name="probabilities")(x)


ARCHITECTURES: dict[str, Callable[..., keras.KerasTensor]] = {"mlp": mlp}
