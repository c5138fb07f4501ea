"""A network that begins with a pretrained backbone: how it is built and trained.

Frozen, the backbone gives each image's features once and only a head is trained on them. Tuned, the
last blocks are trained too, after the head, on augmented images and with a lower rate: a head of
random weights would spoil them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import layers

from stages.train.architectures import LAST_LAYER, average_networks
from stages.train.backbone import build_backbone, load_weights
from stages.train.feature_store import FeatureStore
from stages.train.features import FeatureReader, Views
from stages.train.fitting import Method, fit_network
from stages.train.history import History

if TYPE_CHECKING:
    from stages.train.batches import Part

TUNED_WARMUP = 1  # epochs of linear warm-up of the tuning, half of it if there are no two


@dataclass(frozen=True)
class Pretrained:
    """The section model.pretrained, with the images' shape and the number of classes."""

    image_shape: tuple[int, ...]
    classes: int
    backbone: str
    side: int
    dropout: float
    views: int
    tuned_blocks: int
    tuned_epochs: int
    tuned_learning_rate: float


def is_frozen(method: Method) -> bool:
    """Whether only heads are trained."""
    return method.pretrained is not None and not method.pretrained.tuned_blocks


def build_head(features: int, classes: int, dropout: float = 0.0) -> keras.Model:
    """From features (batch, features) to probabilities (batch, classes): a linear classifier."""
    given = keras.Input((features,), name="features")
    x = layers.Dropout(dropout, name="dropout")(given) if dropout else given
    probabilities = layers.Dense(classes, activation="softmax", dtype="float32", name=LAST_LAYER)
    return keras.Model(given, probabilities(x), name="head")


def join_heads(pretrained: Pretrained, heads: Sequence[keras.Model]) -> keras.Model:
    """One network, from images to the mean probabilities, of a frozen backbone and its heads."""
    backbone = make_backbone(pretrained)
    # Dropout acts in training alone.
    bare = [build_head(backbone.output.shape[1], pretrained.classes) for _ in heads]
    for head, trained in zip(bare, heads, strict=True):
        head.set_weights(trained.get_layer(LAST_LAYER).get_weights())
    images = keras.Input(pretrained.image_shape, dtype="uint8", name="images")
    return keras.Model(images, average_networks(bare)(backbone(images)), name="pretrained")


def make_backbone(pretrained: Pretrained) -> keras.Model:
    """The backbone with ImageNet's weights."""
    backbone = build_backbone(
        pretrained.backbone, pretrained.image_shape, pretrained.side, pretrained.tuned_blocks
    )
    load_weights(backbone, pretrained.backbone)
    return backbone


@cache  # each member and fold reads features
def make_reader(pretrained: Pretrained) -> FeatureReader:
    import pooch  # noqa: PLC0415  # a tenth of a second that other networks do not need

    folder = Path(pooch.os_cache("dvc-image-pipeline"))
    return FeatureReader(make_backbone(pretrained), FeatureStore(folder / "features.sqlite"))


def fit_pretrained(
    method: Method,
    pretrained: Pretrained,
    parts: Sequence[Part],
    held_out: Part | None,
    seed: int,
    scratch: Path,
    watchers: Sequence[keras.callbacks.Callback] = (),
    title: str = "",
) -> tuple[keras.Model, History]:
    """Train a head, and with tuned_blocks the last blocks after it. Arguments: see `fit_network`.

    Returns the head if the backbone is frozen, else the whole network. The history has the epochs
    of both trainings. `watchers` see the last training.
    """
    tuned = pretrained.tuned_blocks > 0
    if not tuned and pretrained.views == 1 and any(vars(method.train.augmentation).values()):
        print(
            "train.augmentation changes nothing here: model.pretrained.views is 1 and tuned_blocks "
            "0, so each image is seen as it is"
        )
    head_parts, head_held_out = read_features(method, pretrained, parts, held_out, seed)
    head, history = fit_network(
        head_method(method, pretrained, head_parts[0][0].shape[1]),
        head_parts, head_held_out, seed, scratch / "head", () if tuned else watchers,
        f"{title}head: " if tuned else title,
    )  # fmt: skip
    if not tuned:
        return head, history
    network, of_tuning = fit_network(
        tuning_method(method, pretrained, head),
        parts, held_out, seed, scratch / "tuned", watchers, f"{title}tuning: ",
    )  # fmt: skip
    return network, {name: [*values, *of_tuning[name]] for name, values in history.items()}


def read_features(
    method: Method,
    pretrained: Pretrained,
    parts: Sequence[Part],
    held_out: Part | None,
    seed: int,
) -> tuple[list[Part], Part | None]:
    """The same parts with features in place of images: to train on, each view of each image."""
    reader = make_reader(pretrained)
    views = Views(pretrained.views, method.train.augmentation, method.background, seed)
    trained: list[Part] = [
        (reader.read(images, views), np.repeat(labels, views.number)) for images, labels in parts
    ]
    return trained, (reader.read(held_out[0]), held_out[1]) if held_out else None


def head_method(method: Method, pretrained: Pretrained, features: int) -> Method:
    """How the head is trained: as params.yaml says, without augmentation, which the views have."""
    make_head = partial(build_head, features, pretrained.classes, pretrained.dropout)
    train = with_values(method.train, augmentation=None)
    return replace(method, make_network=make_head, train=train, background=0, pretrained=None)


def tuning_method(method: Method, pretrained: Pretrained, head: keras.Model) -> Method:
    """How the last blocks and the head are trained on."""
    train = with_values(
        method.train,
        epochs=pretrained.tuned_epochs,
        learning_rate=pretrained.tuned_learning_rate,
        schedule="cosine",
        warmup=min(TUNED_WARMUP, pretrained.tuned_epochs / 2),
    )
    head_weights = head.get_layer(LAST_LAYER).get_weights()
    start = partial(start_tuning, method.make_network, pretrained.backbone, head_weights)
    return replace(method, make_network=start, train=train, pretrained=None)


def start_tuning(
    make_network: Callable[[], keras.Model], backbone: str, head_weights: list[Any]
) -> keras.Model:
    """The network that tuning begins with: ImageNet's backbone and the trained head."""
    network = make_network()
    load_weights(network.get_layer("backbone"), backbone)
    network.get_layer(LAST_LAYER).set_weights(head_weights)
    return network


def with_values(section: Any, **values: Any) -> Any:
    return SimpleNamespace(**vars(section) | values)
