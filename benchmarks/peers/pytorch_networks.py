"""The networks of stages/train/architectures.py in PyTorch, from the same blocks of params.yaml."""

from typing import Any

import torch
from torch import nn


def mlp(
    shape: tuple[int, int], classes: int, units: list[int], dropout: list[float],
    batch_normalization: bool,
) -> nn.Sequential:  # fmt: skip
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = shape[0] * shape[1]
    for width, share in zip(units, dropout, strict=True):
        layers.append(nn.Linear(inputs, width, bias=not batch_normalization))
        if batch_normalization:
            layers.append(nn.BatchNorm1d(width))
        layers.append(nn.ReLU())
        if share:
            layers.append(nn.Dropout(share))
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, classes))


def cnn(
    shape: tuple[int, int],
    classes: int,
    filters: list[int],
    kernels: list[int],
    strides: list[int],
    dropout: float,
    batch_normalization: bool,
) -> nn.Sequential:
    layers: list[nn.Module] = []
    inputs, (height, width) = 1, shape
    for number, outputs in enumerate(filters):
        kernel, stride = kernels[number], strides[number]
        padding = (kernel - 1) // 2 if stride > 1 else 0
        bias = not batch_normalization
        layers.append(nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=bias))
        if batch_normalization:
            layers.append(nn.BatchNorm2d(outputs))
        layers.append(nn.ReLU())
        if dropout and (stride > 1 or number == len(filters) - 1):
            layers.append(nn.Dropout(dropout))
        height, width = ((size + 2 * padding - kernel) // stride + 1 for size in (height, width))
        inputs = outputs
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * height * width, classes))


NETWORKS: dict[str, Any] = {"mlp": mlp, "cnn": cnn}


def build(name: str, shape: tuple[int, int], classes: int, block: dict[str, Any]) -> nn.Sequential:
    """The network `name` for images (batch, 1, height, width), with weights as Keras starts them.

    It gives logits: in PyTorch the softmax is the loss'.
    """
    network: nn.Sequential = NETWORKS[name](shape, classes, **block)
    for layer in network:
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network


def count_parameters(network: nn.Module) -> int:
    """All numbers that a saved network has, batch normalisation's moving averages included."""
    moving = [b for name, b in network.named_buffers() if not name.endswith("num_batches_tracked")]
    return sum(values.numel() for values in [*network.parameters(), *moving])


def image_gflop(network: nn.Module, shape: tuple[int, int]) -> tuple[float, float]:
    """Billions of multiplications and additions for an image: forward; forward and backward."""
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415  # slow, seldom needed

    images = torch.zeros(2, 1, *shape)
    with FlopCounterMode(display=False) as counter:
        outputs = network(images)
        forward = counter.get_total_flops()
        outputs.sum().backward()
    return forward / len(images) / 1e9, counter.get_total_flops() / len(images) / 1e9
