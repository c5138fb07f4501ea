"""The networks of an ensemble, which may be one alone: trained, then made one network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from stages.train.architectures import average_networks, count_classes, network_maker
from stages.train.backbone import describe_weights
from stages.train.fitting import Method, fit_network
from stages.train.history import History
from stages.train.prediction import predict
from stages.train.pretrained import (
    Pretrained,
    fit_pretrained,
    is_frozen,
    join_heads,
    make_reader,
)

if TYPE_CHECKING:
    from stages.run.params import Model, Train
    from stages.train.batches import Part


def make_method(
    model: Model,
    train: Train,
    training: Part,
    validation: Part,
    background: int | Sequence[int] = 0,
    plain: bool = False,
) -> Method:
    """How the chosen network is trained on such images, with all classes of their labels."""
    pretrained = None
    if model.name == "pretrained":
        classes = count_classes(training, validation)
        pretrained = Pretrained(training[0].shape[1:], classes, **vars(model.pretrained))
    make_network = network_maker(model, training, validation)
    return Method(make_network, train, background, plain, pretrained)


def fit_members(
    method: Method, parts: Sequence[Part], held_out: Part | None, seed: int, scratch: Path
) -> tuple[list[keras.Model], list[History]]:
    """Train train.members networks, one after the other: see `fit_member`."""
    fitted = [
        fit_member(method, parts, held_out, seed, scratch, member)
        for member in range(method.train.members)
    ]
    return [network for network, _ in fitted], [history for _, history in fitted]


def fit_member(
    method: Method,
    parts: Sequence[Part],
    held_out: Part | None,
    seed: int,
    scratch: Path,
    member: int,
) -> tuple[keras.Model, History]:
    """Train an ensemble's network of that number, from 0, with the seed seed + member."""
    members = method.train.members
    title = f"member {member + 1} of {members}: " if members > 1 else ""
    return fit(method, parts, held_out, seed + member, scratch / str(member), title=title)


def fit(
    method: Method,
    parts: Sequence[Part],
    held_out: Part | None,
    seed: int,
    scratch: Path,
    watchers: Sequence[keras.callbacks.Callback] = (),
    title: str = "",
) -> tuple[keras.Model, History]:
    """Train one network: see `fit_network`. With a frozen backbone it is the head alone."""
    if method.pretrained is None:
        return fit_network(method, parts, held_out, seed, scratch, watchers, title)
    return fit_pretrained(
        method, method.pretrained, parts, held_out, seed, scratch, watchers, title
    )


def count_epochs(method: Method) -> int:
    """The epochs that watchers of `fit` see."""
    if method.pretrained is None or is_frozen(method):
        return method.train.epochs
    return method.pretrained.tuned_epochs


def join_members(method: Method, networks: Sequence[keras.Model]) -> keras.Model:
    """The one network, from images to probabilities, that trained ones make."""
    if method.pretrained and is_frozen(method):
        return join_heads(method.pretrained, networks)
    return average_networks(networks)


def judge_images(method: Method, network: keras.Model, images: Any) -> Any:
    """Probabilities (count, classes) of images by what `fit` gave; features are not made twice."""
    if method.pretrained is None or not is_frozen(method):
        return predict(network, images)
    return predict(network, make_reader(method.pretrained).read(images))


def describe_network(method: Method, network: keras.Model) -> dict[str, Any]:
    """What validation.json says of the network; DVC's tables leave lists out."""
    described: dict[str, Any] = {"parameters": network.count_params()}
    if method.pretrained:
        described["weights"] = [describe_weights(method.pretrained.backbone)]
    return described
