"""The audit's networks and how they train: chosen by measurement, docs/data.md.

A network that has learnt the wrong labels by heart would call them right, and one that is often
wrong would suspect right ones. So neither the article's network nor its long training serves here.
"""

import math
from types import SimpleNamespace
from typing import Any, NamedTuple

FEWEST_UPDATES = 1000  # weight updates of a network, for which few images need more epochs
SMALLEST_BATCH = 16  # images
BATCHES_PER_EPOCH = 20  # at least, as long as batches are not the smallest
NETWORKS = ["features", "light", "present"]
FEATURES_SIDE = 128  # pixels
SMALLEST_SIDE = 14  # pixels; of smaller images, layers without padding leave nothing


class Kind(NamedTuple):
    """A kind of network, shaped like the section `model` of params.yaml, and how it trains."""

    model: Any
    epochs: int  # more if images are few
    batch_size: int  # less if images are few
    label_smoothing: float
    # Augmentation, so little that nearly every image still shows the same. Pixels are shares of an
    # image's smaller side: 0.07 are 2 pixels of 28.
    rotation: float
    translation: float
    zoom: float
    shear: float
    elastic: float = 0.025


def make_cnn(filters: list[int], kernels: list[int], strides: list[int]) -> Any:
    block = SimpleNamespace(
        filters=filters, kernels=kernels, strides=strides, dropout=0.1, batch_normalization=True
    )
    return SimpleNamespace(name="cnn", cnn=block)


def make_mlp(units: list[int], dropout: list[float]) -> Any:
    block = SimpleNamespace(units=units, dropout=dropout, batch_normalization=False)
    return SimpleNamespace(name="mlp", mlp=block)


def choose_network(images: Any) -> str:
    """Which networks judge if the user does not say: ImageNet's features for pictures.

    Drawings in grey, like digits, are nothing that ImageNet has.
    """
    return "features" if images.colour == "rgb" else "light"


def make_head(longer: int) -> Kind:
    """A linear classifier on the features that a frozen backbone gives of images.

    ImageNet's own, whatever the model: one that was tuned has seen the labels that it would judge.
    """
    block = SimpleNamespace(
        backbone="efficientnet_lite0", side=max(FEATURES_SIDE, longer), dropout=0.2, views=1,
        tuned_blocks=0, tuned_epochs=1, tuned_learning_rate=0.001,
    )  # fmt: skip
    model = SimpleNamespace(name="pretrained", pretrained=block)
    return Kind(
        model, epochs=20, batch_size=32, label_smoothing=0.1,
        rotation=0, translation=0, zoom=0, shear=0, elastic=0,
    )  # fmt: skip


def choose_kinds(
    network: str, present: Any, of_test: bool, image_shape: tuple[int, ...]
) -> dict[str, Kind]:
    """The kinds of networks that judge images (height, width[, 3]), by name.

    `network` is one of NETWORKS, `present` the section `model` of params.yaml. One kind finds
    labels that are wrong by chance. Those of the test images are fewer than a network's own
    mistakes: there, three kinds judge, as the mistakes of one are not those of another.
    """
    if network == "features":
        return {"features": make_head(max(image_shape[:2]))}
    side = min(image_shape[:2])
    # A layer with a stride above 1 is padded: it fits any image.
    strides = [2, 1, 2, 1] if side >= SMALLEST_SIDE else [2, 2, 2, 2]
    light = Kind(
        make_cnn([32, 32, 64, 64], [5, 3, 3, 3], strides), epochs=6, batch_size=128,
        label_smoothing=0.0, rotation=12, translation=0.07, zoom=0.12, shear=0.12,
    )  # fmt: skip
    if network == "present":
        return {"present": light._replace(model=present)}
    if not of_test:
        return {"light": light}
    mild = light._replace(
        batch_size=256,
        label_smoothing=0.05,
        rotation=8,
        translation=0.035,
        zoom=0.08,
        shear=0.1,
    )
    return {
        "light": light,
        "lighter": mild._replace(model=make_cnn([24, 48, 64], [5, 3, 3], [2, 2, 2])),
        "mlp": mild._replace(model=make_mlp([512, 256], [0.2, 0.0]), epochs=10),
    }


def choose_batch_size(kind: Kind, images: int) -> int:
    return max(SMALLEST_BATCH, min(kind.batch_size, images // BATCHES_PER_EPOCH))


def choose_epochs(kind: Kind, images: int) -> int:
    """The passes over so many images: the kind's, or as many as FEWEST_UPDATES take."""
    updates = math.ceil(images / choose_batch_size(kind, images))  # in an epoch
    return max(kind.epochs, math.ceil(FEWEST_UPDATES / updates))


def choose_train_values(
    kind: Kind, present: Any, images: int, side: int, epochs: int | None
) -> Any:
    """The section `train` of params.yaml with the kind's values; `epochs` replaces its own.

    If the section has an augmentation, that one stays: it knows, for example, whether images may
    be flipped.
    """
    values = vars(present) | {
        "epochs": epochs or choose_epochs(kind, images),
        "batch_size": choose_batch_size(kind, images),
        "learning_rate": 0.003,
        "schedule": "cosine",
        "warmup": 1,
        "label_smoothing": kind.label_smoothing,
    }
    if not any(vars(present.augmentation).values()) and kind.rotation:
        values["augmentation"] = SimpleNamespace(
            rotation=kind.rotation, translation=round(kind.translation * side), zoom=kind.zoom,
            shear=kind.shear, elastic=kind.elastic * side, flip=False,
        )  # fmt: skip
    return SimpleNamespace(**values)
