"""The ONNX file of a classifier: checked, then loaded and run by ONNX Runtime.

A damaged or foreign file must end in a message, not take all memory or run whatever it holds. So
the file is walked before ONNX Runtime sees it: it may hold what stages/train/onnx_graph.py writes
and nothing else. The walk reads Protocol Buffers itself, in a few lines: the package onnx is not
among those that serve.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stages.shared.errors import HOW_TO_RESTORE, UserError
from stages.shared.onnx_shapes import (
    FLOAT32,
    LARGEST_SIDE,
    MOST_VALUES,
    Shape,
    Weight,
    shape_of_output,
)

Images = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]

INPUT, OUTPUT = "images", "probabilities"
BATCH_IMAGES = 500  # run at once
# Fewer at once by a network of larger layers. The default cnn's on MNIST have so many values.
BATCH_VALUES = BATCH_IMAGES * 26 * 26 * 32
LARGEST_BYTES = 2_000_000_000  # Protocol Buffers end at 2**31
MOST_CLASSES = 1000
LEFT_OUT: Weight = np.empty(0, np.float32)  # what an operator takes for an input without a name

# The numbers of the fields that a file may have, from the published onnx.proto.
MODEL = {"version": 1, "producer": 2, "graph": 7, "operators": 8, "properties": 14}
GRAPH = {"nodes": 1, "name": 2, "weights": 5, "inputs": 11, "outputs": 12}
NODE = {"inputs": 1, "outputs": 2, "name": 3, "operator": 4, "attributes": 5}
ATTRIBUTE = {"name": 1, "float": 2, "integer": 3, "word": 4, "integers": 8, "kind": 20}
WEIGHT = {"shape": 1, "kind": 2, "name": 8, "values": 9}
OPERATOR_SET = {"domain": 1, "version": 2}
PROPERTY = {"key": 1, "value": 2}
VALUE = {"name": 1, "type": 2}
UINT8, INT64 = 2, 7
WEIGHT_KINDS: dict[int, np.dtype[Any]] = {FLOAT32: np.dtype("<f4"), INT64: np.dtype("<i8")}

# What the walk and ONNX Runtime meet in bytes that are no such file's.
UNREADABLE = (ValueError, TypeError, OverflowError, OSError, MemoryError)

Fields = dict[int, list[Any]]  # of a message, by number: integers, or the bytes of what it holds


class Content(NamedTuple):
    image_shape: tuple[int, ...]  # (height, width) or (height, width, 3)
    classes: int
    largest: int  # values of an image: of its largest layer, or of all that wait, if more


class OnnxModel(NamedTuple):
    session: Any  # onnxruntime.InferenceSession
    image_shape: tuple[int, ...]
    classes: int
    largest: int


def open_model(path: Path, threads: int = 1) -> OnnxModel:
    """The model of a file as train writes it, to run with `threads` threads.

    Raises UserError unless it is complete and holds only what train writes: known operators,
    finite weights that are all in the file, uint8 images in and probabilities out.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing: {HOW_TO_RESTORE}")
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ValueError(f"it has more than {LARGEST_BYTES:,} bytes")
        return load_model(path.read_bytes(), threads)  # once: what is checked is what is loaded
    except UNREADABLE as error:
        raise UserError(
            f"{path}: not a model that this project wrote: {error}. {HOW_TO_RESTORE}"
        ) from None


def load_model(content: bytes, threads: int = 1) -> OnnxModel:
    """The model of a file's content. Raises ValueError as `open_model` raises UserError."""
    # Official builds of ONNX Runtime send usage data unless this is set before the import.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime  # noqa: PLC0415

    checked = check_content(content)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what matters is raised
    # Threads that wait for work sleep: others need the core.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(
            content, options, ["CPUExecutionProvider"], enable_fallback=0
        )
        blank = np.zeros((1, *checked.image_shape), np.uint8)
        found = session.run([OUTPUT], {INPUT: blank})[0].shape
    except Exception as error:
        raise ValueError(f"ONNX Runtime: {error}") from None
    if found != (1, checked.classes):
        raise ValueError(
            f"expected probabilities (1, {checked.classes}) of one image, found {found}"
        )
    return OnnxModel(session, *checked)


def predict(model: OnnxModel, images: Images) -> Probabilities:
    """Probabilities (count, classes) of uint8 images (count, *image_shape), in batches.

    Raises UserError if the images are of another shape, or a probability is not finite.
    """
    if images.shape[1:] != model.image_shape or images.dtype != np.uint8:
        raise UserError(
            f"expected images ({', '.join(map(str, ('count', *model.image_shape)))}) as uint8, "
            f"which the model takes; found {images.shape} as {images.dtype}"
        )
    size = max(1, min(BATCH_IMAGES, BATCH_VALUES // model.largest))
    probabilities = np.empty((len(images), model.classes), np.float32)
    for start in range(0, len(images), size):
        batch = np.ascontiguousarray(images[start : start + size])
        probabilities[start : start + size] = model.session.run([OUTPUT], {INPUT: batch})[0]
    if not np.isfinite(probabilities).all():
        raise UserError(
            "expected probabilities, found values that are no finite numbers: the weights are "
            "too large. Lower train.learning_rate in params.yaml and train again."
        )
    return probabilities


def check_content(content: bytes) -> Content:
    """What a file's graph takes and gives. Raises ValueError for what is not ours."""
    model = read_message(memoryview(content), MODEL, "the file")
    sets = [read_message(each, OPERATOR_SET, "an operators' set") for each in model[8]]
    if len(sets) != 1 or sets[0][1] not in ([], [b""]):
        raise ValueError("expected the standard operators alone")
    if len(model[7]) != 1:
        raise ValueError(f"expected one graph, found {len(model[7])}")
    refuse_damage(model)
    graph = read_message(model[7][0], GRAPH, "the graph")
    weights = read_weights(graph[5])
    image_shape = read_value(graph[11], INPUT, UINT8)
    output_shape = read_value(graph[12], OUTPUT, FLOAT32)
    is_colour = len(image_shape) == 3 and image_shape[2] == 3
    if not (len(image_shape) == 2 or is_colour) or max(image_shape) > LARGEST_SIDE:
        raise ValueError(f"expected images (height, width[, 3]), found {image_shape}")
    if len(output_shape) != 1 or output_shape[0] > MOST_CLASSES:
        raise ValueError(f"expected a probability for each class, found {output_shape}")
    shapes: dict[str, Shape] = {INPUT: image_shape}
    takers: Counter[str] = Counter()
    for node in graph[1]:
        taken = check_node(read_message(node, NODE, "a node"), shapes, weights)
        takers.update(taken * len(taken))  # one of several waits for the others
    if shapes.get(OUTPUT) != output_shape:
        raise ValueError(f"expected probabilities {output_shape}, found {shapes.get(OUTPUT)}")
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    waiting = sum(sizes[name] for name, count in takers.items() if count > 1)
    if waiting > MOST_VALUES:
        raise ValueError(f"{waiting:,} values of an image wait for a later operator")
    return Content(image_shape, output_shape[0], max(waiting, *sizes.values()))


def refuse_damage(model: Fields) -> None:
    """Raise ValueError if the graph has another checksum than the file says, where it says one."""
    for entry in model[14]:
        fields = read_message(entry, PROPERTY, "a property")
        key, value = text(fields[1]), text(fields[2])
        if key == "graph_sha256" and hashlib.sha256(model[7][0]).hexdigest() != value:
            raise ValueError("its graph does not fit its checksum")


def check_node(node: Fields, shapes: dict[str, Shape], weights: dict[str, Weight]) -> list[str]:
    """Add the shape of what a node gives to `shapes`, those of all values before it.

    Returns the names of the values that it takes; its weights follow them. Raises ValueError unless
    train writes such a node.
    """
    operator, output = text(node[4]), text(node[2])
    inputs = [text([name]) for name in node[1]]
    taken = [name for name in inputs if name in shapes]
    others = inputs[len(taken) :]
    if not all(name in weights for name in others):
        raise ValueError(f"the operator {operator} takes {', '.join(inputs)}")
    if output in shapes or output in weights:
        raise ValueError(f"two nodes give {output!r}")
    shapes[output] = shape_of_output(
        operator,
        [shapes[name] for name in taken],
        [weights[name] for name in others],
        read_attributes(node, operator),
    )
    return taken


def read_attributes(node: Fields, operator: str) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for attribute in node[5]:
        fields = read_message(attribute, ATTRIBUTE, f"an attribute of {operator}")
        name = text(fields[1])
        words = [b"".join([word]) for word in fields[2] + fields[4]]
        single = [*map(signed, fields[3]), *words]
        if name in attributes or len(single) > 1:
            raise ValueError(f"{operator} has two values of {name!r}")
        attributes[name] = single[0] if single else [signed(number) for number in fields[8]]
    return attributes


def signed(number: int) -> int:
    """Protocol Buffers write -1 as 2**64 - 1."""
    return number - 2**64 if number >= 2**63 else number


def text(values: list[Any]) -> str:
    """Of a field that a message has once at most: ONNX Runtime would take the last of several."""
    if len(values) > 1:
        raise ValueError(f"expected one text, found {len(values)}")
    return b"".join(values).decode()  # an invalid text is a ValueError


def read_weights(weights: list[Any]) -> dict[str, Weight]:
    """Each by its name. Raises ValueError for a name that stands for something else, too."""
    found = {"": LEFT_OUT}
    for weight in weights:
        name, values = check_weight(read_message(weight, WEIGHT, "a weight"))
        if name in found or name == INPUT:
            raise ValueError(f"two weights or inputs have the name {name!r}")
        found[name] = values
    return found


def check_weight(weight: Fields) -> tuple[str, Weight]:
    """Its name and values: they are in the file, as many as its shape says, all finite."""
    name = text(weight[8])
    kind = WEIGHT_KINDS.get(weight[2][0]) if len(weight[2]) == 1 else None
    stored = weight[9][0] if len(weight[9]) == 1 else memoryview(b"")
    if kind is None or math.prod(weight[1]) * kind.itemsize != len(stored):
        raise ValueError(f"the weight {name!r} has {len(stored):,} bytes for shape {weight[1]}")
    values = np.frombuffer(stored, kind)
    if kind.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"the weight {name!r} has values that are no finite numbers")
    return name, values.reshape(weight[1])


def read_value(values: list[Any], name: str, kind: int) -> tuple[int, ...]:
    """The shape of the graph's one input or output, without its first dimension, the batch."""
    if len(values) != 1:
        raise ValueError(f"expected {name} alone, found {len(values)} of the kind")
    value = read_message(values[0], VALUE, name)
    found = text(value[1])
    tensor = read_message(only(value[2], name), {"tensor": 1}, f"the type of {name}")
    fields = read_message(only(tensor[1], name), {"kind": 1, "shape": 2}, f"the type of {name}")
    if found != name or fields[1] != [kind]:
        raise ValueError(f"expected {name} of type {kind}, found {found!r} of type {fields[1]}")
    shape = read_message(only(fields[2], name), {"sizes": 1}, f"the shape of {name}")[1]
    sizes = [read_message(size, {"size": 1, "name": 2}, f"a size of {name}") for size in shape]
    if not sizes or sizes[0][1] or not all(size[1] and size[1][0] > 0 for size in sizes[1:]):
        raise ValueError(f"expected {name} for any number of images, each of a fixed size")
    return tuple(size[1][0] for size in sizes[1:])


def only(values: list[Any], name: str) -> Any:
    if len(values) != 1:
        raise ValueError(f"expected one type of {name}, found {len(values)}")
    return values[0]


def read_message(content: memoryview, known: dict[str, int], what: str) -> Fields:
    """The fields of a Protocol Buffers message. Raises ValueError for a field that is not known."""
    fields: Fields = defaultdict(list)
    place = 0
    while place < len(content):
        key, place = read_integer(content, place)
        number, form = key >> 3, key & 7
        if number not in known.values():
            raise ValueError(f"{what} has a field {number}, which train does not write")
        size = {1: 8, 5: 4}.get(form, 0)
        if form == 0:
            value, place = read_integer(content, place)
            fields[number].append(value)
            continue
        if form == 2:
            size, place = read_integer(content, place)
        if (size == 0 and form != 2) or place + size > len(content):
            raise ValueError(f"{what} is cut off or damaged at byte {place:,}")
        fields[number].append(content[place : place + size])
        place += size
    return fields


def read_integer(content: memoryview, place: int) -> tuple[int, int]:
    """A variable-length integer and the place after it."""
    value = 0
    for shift in range(0, 64, 7):
        if place >= len(content):
            break
        byte = content[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128 and value < 2**64:  # ONNX Runtime would drop the bits above
            return value, place
    raise ValueError(f"cut off or damaged at byte {place:,}")
