"""The network as an ONNX graph: what runs wherever there is no TensorFlow.

Written from the few kinds of layers that architectures.py builds. Keras exports by way of tf2onnx,
whose bytes differ from run to run for convolutions; the tests hold the two beside each other.

The operators' set is version 15: the first with today's BatchNormalization, and old enough for
every ONNX Runtime since 1.9 (2021), so for old servers and browsers, too.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import onnx
from keras import layers
from onnx import TensorProto, helper, numpy_helper

from stages.shared.errors import UserError

OPERATORS = 15
FORMAT = 8  # the ONNX file format that came with these operators
PRODUCER = "dvc-image-pipeline"
INPUT, OUTPUT = "images", "probabilities"
LARGEST_FILE_BYTES = 2_000_000_000  # Protocol Buffers, which ONNX files are, end at 2**31
WEIGHT_BYTES = 4  # float32
CHANNELS_FIRST, CHANNELS_LAST = [0, 3, 1, 2], [0, 2, 3, 1]  # permutations to ONNX's order, and back


class Tensor(NamedTuple):
    """A value in the graph. Keras' images are (batch, height, width, channels)."""

    name: str
    channels_first: bool = False  # ONNX convolves (batch, channels, height, width)


class Graph:
    """The nodes and weights of a graph while it is written."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add_node(self, operator: str, name: str, *inputs: str, **attributes: Any) -> str:
        """Returns the name of the node's output, which is the node's own."""
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def add_weight(self, name: str, values: npt.NDArray[Any]) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def put_channels(self, first: bool, x: Tensor) -> Tensor:
        """The tensor with its channels first or last; nothing is written if they are."""
        if x.channels_first == first:
            return x
        order, suffix = (CHANNELS_FIRST, "first") if first else (CHANNELS_LAST, "last")
        name = f"{x.name}/channels_{suffix}"
        return Tensor(self.add_node("Transpose", name, x.name, perm=order), first)


def refuse_unknown_layers(network: keras.Model, members: int = 1) -> None:
    """Raise UserError unless an ONNX file can hold `members` such networks: before training."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            refuse_unknown_layers(layer)
        elif not isinstance(layer, layers.InputLayer):
            refuse_unknown_layer(layer)
    size = members * network.count_params() * WEIGHT_BYTES
    if size > LARGEST_FILE_BYTES:
        raise UserError(
            f"model.{network.name}: {members} x {network.count_params():,} weights are "
            f"{size / 1e9:,.1f} GB, and an ONNX file holds {LARGEST_FILE_BYTES / 1e9:.0f}. Make "
            "the network smaller, or train.members fewer"
        )


def refuse_unknown_layer(layer: keras.Layer) -> None:
    kind = type(layer).__name__
    problem = "" if type(layer) in WRITERS else f"a layer {kind}"
    config = layer.get_config()
    for option, known in KNOWN_OPTIONS.get(kind, {}).items():
        if config[option] not in known:
            problem = f"a layer {kind} with {option} = {config[option]}"
    if kind == "Dense" and not problem and len(layer.input.shape) != 2:
        problem = f"a layer Dense on {len(layer.input.shape)} dimensions"
    if problem:
        raise UserError(
            f"{layer.name}: {problem} has no ONNX form here, so nothing could use the model. Add "
            "one to stages/train/onnx_graph.py, or build the network from other layers"
        )


def make_onnx(network: keras.Model) -> bytes:
    """The content of the network's ONNX file: the same for the same weights, on every run.

    Takes `images`, uint8 (batch, height, width) or (batch, height, width, 3), any number of
    them; gives `probabilities`, float32 (batch, classes).
    """
    graph = Graph()
    write_layers(graph, network, Tensor(INPUT), "")
    graph.nodes[-1].output[:] = [OUTPUT]
    image_shape, classes = network.input.shape[1:], network.output.shape[1]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "classifier",
            [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["batch", *image_shape])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", classes])],
            graph.weights,
        ),
        ir_version=FORMAT,
        opset_imports=[helper.make_opsetid("", OPERATORS)],
        producer_name=PRODUCER,
    )
    written = model.graph.SerializeToString(deterministic=True)
    checksum = hashlib.sha256(written).hexdigest()  # a flipped bit of a weight is a weight, too
    helper.set_model_props(model, {"classes": str(classes), "graph_sha256": checksum})
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def write_layers(graph: Graph, network: keras.Model, x: Tensor, prefix: str) -> Tensor:
    """Write a network's layers in the order of its configuration; returns its output.

    The configuration, which model.keras holds as well, says what each layer takes. `prefix` keeps
    the names of an ensemble's members apart.
    """
    config = network.get_config()
    values: dict[str, Tensor] = {}
    for entry in config["layers"]:
        layer, name = network.get_layer(entry["name"]), f"{prefix}{entry['name']}"
        if isinstance(layer, layers.InputLayer):
            values[layer.name] = x
            continue
        taken = [values[each] for each in inputs_of(entry)]
        if isinstance(layer, keras.Model):
            values[layer.name] = write_layers(graph, layer, taken[0], f"{name}/")
        else:
            values[layer.name] = WRITERS[type(layer)](graph, layer, f"{name}/", *taken)
    return values[config["output_layers"][0]]


def inputs_of(entry: dict[str, Any]) -> list[str]:
    """The names of the layers whose outputs a layer takes, from its configuration."""
    taken = entry["inbound_nodes"][0]["args"][0]
    tensors = taken if isinstance(taken, list) else [taken]
    return [tensor["config"]["keras_history"][0] for tensor in tensors]


def write_rescaling(graph: Graph, layer: keras.Layer, name: str, x: Tensor) -> Tensor:
    scale = graph.add_weight(f"{name}by", np.array(layer.scale, np.float32))
    floats = graph.add_node("Cast", f"{name}cast", x.name, to=TensorProto.FLOAT)
    node = graph.add_node("Mul", f"{name}multiply", floats, scale)
    if layer.offset:
        offset = graph.add_weight(f"{name}offset", np.array(layer.offset, np.float32))
        node = graph.add_node("Add", f"{name}add", node, offset)
    return x._replace(name=node)


def write_resizing(graph: Graph, layer: keras.Layer, name: str, x: Tensor) -> Tensor:
    x = graph.put_channels(True, x)
    sizes = zip((layer.height, layer.width), layer.input.shape[1:3], strict=True)
    scales = np.array([1, 1, *(scale_to(now, before) for now, before in sizes)], np.float32)
    weight = graph.add_weight(f"{name}scales", scales)
    node = graph.add_node(
        "Resize", f"{name}resize", x.name, "", weight,
        mode="linear", coordinate_transformation_mode="half_pixel",
    )  # fmt: skip
    return Tensor(node, True)


def scale_to(size: int, before: int) -> np.float32:
    """The scale of a side, which ONNX multiplies and rounds down: never to a pixel less."""
    scale = np.float32(size / before)
    while np.floor(scale * np.float32(before)) < size:
        scale = np.nextafter(scale, np.float32(np.inf))
    return scale


def write_concatenation(graph: Graph, layer: keras.Layer, name: str, *parts: Tensor) -> Tensor:
    together = [graph.put_channels(False, each).name for each in parts]
    return Tensor(graph.add_node("Concat", f"{name}concat", *together, axis=layer.axis))


def write_sum(graph: Graph, _layer: keras.Layer, name: str, *parts: Tensor) -> Tensor:
    together = [graph.put_channels(parts[0].channels_first, each).name for each in parts]
    return parts[0]._replace(name=graph.add_node("Add", f"{name}add", *together))


def write_reshape(graph: Graph, layer: keras.Layer, name: str, x: Tensor) -> Tensor:
    x = graph.put_channels(False, x)
    shape = graph.add_weight(f"{name}shape", np.array([-1, *layer.target_shape], np.int64))
    return Tensor(graph.add_node("Reshape", f"{name}reshape", x.name, shape))


def write_flatten(graph: Graph, _layer: keras.Layer, name: str, x: Tensor) -> Tensor:
    x = graph.put_channels(False, x)  # Keras' order of the values
    return Tensor(graph.add_node("Flatten", f"{name}flatten", x.name, axis=1))


def write_dense(graph: Graph, layer: keras.Layer, name: str, x: Tensor) -> Tensor:
    weights = [graph.add_weight(f"{name}kernel", layer.kernel.numpy())]
    if layer.use_bias:
        weights.append(graph.add_weight(f"{name}bias", layer.bias.numpy()))
    return write_activation(
        graph, layer, name, Tensor(graph.add_node("Gemm", f"{name}product", x.name, *weights))
    )


def write_convolution(graph: Graph, layer: keras.Layer, name: str, x: Tensor) -> Tensor:
    x = graph.put_channels(True, x)
    by_channel = isinstance(layer, layers.DepthwiseConv2D)
    # (height, width, in, out) in Keras; a channel alone has (height, width, in, 1)
    kernel = layer.kernel.numpy().transpose((2, 3, 0, 1) if by_channel else (3, 2, 0, 1))
    weights = [graph.add_weight(f"{name}kernel", kernel)]
    if layer.use_bias:
        weights.append(graph.add_weight(f"{name}bias", layer.bias.numpy()))
    groups = {"group": len(kernel)} if by_channel else {}
    node = graph.add_node(
        "Conv", f"{name}convolution", x.name, *weights,
        kernel_shape=list(layer.kernel_size), strides=list(layer.strides), pads=padding_of(layer),
        **groups,
    )  # fmt: skip
    return write_activation(graph, layer, name, Tensor(node, True))


def padding_of(layer: keras.Layer) -> list[int]:
    """Zeros above, left, below, right. "Same" puts the odd one below and right."""
    if layer.padding == "valid":
        return [0, 0, 0, 0]
    before, after = [], []
    sizes = zip(layer.input.shape[1:3], layer.kernel_size, layer.strides, strict=True)
    for size, kernel, stride in sizes:
        total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        before.append(total // 2)
        after.append(total - total // 2)
    return [*before, *after]


def write_normalization(graph: Graph, layer: keras.Layer, name: str, x: Tensor) -> Tensor:
    # It stays a node of its own: ONNX Runtime folds it into the layer before when it loads.
    if len(layer.input.shape) == 4:
        x = graph.put_channels(True, x)
    variables = {
        "scale": layer.gamma, "shift": layer.beta, "mean": layer.moving_mean,
        "variance": layer.moving_variance,
    }  # fmt: skip
    weights = [graph.add_weight(f"{name}{key}", value.numpy()) for key, value in variables.items()]
    node = graph.add_node(
        "BatchNormalization", f"{name}normalize", x.name, *weights, epsilon=layer.epsilon
    )
    return x._replace(name=node)


def write_relu(graph: Graph, layer: keras.Layer, name: str, x: Tensor) -> Tensor:
    if getattr(layer, "max_value", None) is None:
        return x._replace(name=graph.add_node("Relu", f"{name}relu", x.name))
    bounds = [
        graph.add_weight(f"{name}{key}", np.array(value, np.float32))
        for key, value in (("least", 0), ("most", layer.max_value))
    ]
    return x._replace(name=graph.add_node("Clip", f"{name}clip", x.name, *bounds))


def write_activation(graph: Graph, layer: keras.Layer, name: str, x: Tensor) -> Tensor:
    match keras.activations.serialize(layer.activation):
        case "relu":
            return write_relu(graph, layer, name, x)
        case "softmax":
            return x._replace(name=graph.add_node("Softmax", f"{name}softmax", x.name, axis=-1))
    return x


def write_nothing(_graph: Graph, _layer: keras.Layer, _name: str, x: Tensor) -> Tensor:
    return x


def write_pooling(graph: Graph, _layer: keras.Layer, name: str, x: Tensor) -> Tensor:
    x = graph.put_channels(True, x)
    mean = graph.add_node("GlobalAveragePool", f"{name}mean", x.name)
    return Tensor(graph.add_node("Flatten", f"{name}flatten", mean, axis=1))


def write_average(graph: Graph, _layer: keras.Layer, name: str, *members: Tensor) -> Tensor:
    return Tensor(graph.add_node("Mean", f"{name}mean", *(each.name for each in members)))


WRITERS: dict[type, Callable[..., Tensor]] = {
    layers.Rescaling: write_rescaling,
    layers.Reshape: write_reshape,
    layers.Flatten: write_flatten,
    layers.Dense: write_dense,
    layers.Conv2D: write_convolution,
    layers.BatchNormalization: write_normalization,
    layers.ReLU: write_relu,
    layers.Dropout: write_nothing,  # it acts in training alone
    layers.GlobalAveragePooling2D: write_pooling,
    layers.Average: write_average,
    layers.Resizing: write_resizing,
    layers.Concatenate: write_concatenation,
    layers.DepthwiseConv2D: write_convolution,
    layers.Add: write_sum,
}
# What the writers above take for granted, by the layer's kind and Keras' name of the option.
KNOWN_OPTIONS: dict[str, dict[str, list[object]]] = {
    "Dense": {"activation": ["linear", "relu", "softmax"]},
    "Conv2D": {
        "activation": ["linear", "relu"],
        "padding": ["valid", "same"],
        "data_format": ["channels_last"],
        "dilation_rate": [(1, 1)],
        "groups": [1],
    },
    "BatchNormalization": {"axis": [-1, 1, 3], "center": [True], "scale": [True]},
    "DepthwiseConv2D": {
        "activation": ["linear", "relu"],
        "padding": ["valid", "same"],
        "data_format": ["channels_last"],
        "dilation_rate": [(1, 1)],
        "depth_multiplier": [1],
    },
    "ReLU": {"negative_slope": [0.0], "threshold": [0.0]},
    "Resizing": {
        "interpolation": ["bilinear"],
        "antialias": [False],
        "crop_to_aspect_ratio": [False],
        "pad_to_aspect_ratio": [False],
        "data_format": ["channels_last"],
    },
    "Concatenate": {"axis": [-1]},
    "GlobalAveragePooling2D": {"data_format": ["channels_last"], "keepdims": [False]},
}
