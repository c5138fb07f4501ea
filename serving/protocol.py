"""The Open Inference Protocol v2 over HTTP: reading requests and writing answers.

https://github.com/kserve/open-inference-protocol, with the extension for binary tensors: a JSON
object, then the tensors' bytes; the header Inference-Header-Content-Length has the length of the
first. KServe's and Triton's clients speak it.
"""

import json
import math
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from serving.classifier import Pixels, Probabilities
from serving.replies import RefusedError, Reply

MODEL_NAME, VERSION = "classifier", "1"
SERVER_NAME = "dvc-image-pipeline"
EXTENSIONS = ["binary_tensor_data"]
PLATFORM = "onnxruntime_onnx"
INPUT, INPUT_TYPE = "images", "UINT8"
OUTPUT, OUTPUT_TYPE = "probabilities", "FP32"
LENGTH_HEADER = b"inference-header-content-length"
BINARY = b"application/octet-stream"
BYTE_VALUES = range(256)

Json = dict[str, Any]


class InferRequest(NamedTuple):
    images: Pixels  # (count, *shape)
    id: str | None
    binary: bool  # whether the output is wanted as bytes


# Reading


def parse_request(
    body: bytes, json_bytes: bytes, shape: tuple[int, ...], most_images: int
) -> InferRequest:
    """A request's body; `json_bytes` is its Inference-Header-Content-Length, empty without one.

    Raises RefusedError with what was expected and what was found.
    """
    length = parse_length(json_bytes, len(body))
    request = parse_json(body[:length])
    outputs = typed(request, "outputs", list, "the request", [])
    (tensor, *others) = typed(request, "inputs", list, "the request") or [None]
    if others or tensor is None:
        raise wrong(f"expected one input, {INPUT}, found {len(others) + bool(tensor)}")
    images = parse_input(tensor, memoryview(body)[length:], shape, most_images)
    identity = request.get("id")
    if identity is not None and not isinstance(identity, str):
        raise wrong(f"id: expected a string, found {show(identity)}")
    parameters = typed(request, "parameters", dict, "the request", {})
    by_default = typed(parameters, "binary_data_output", bool, "parameters", False)
    return InferRequest(images, identity, wants_binary(outputs, by_default))


def parse_length(header: bytes, size: int) -> int:
    """How much of the body is JSON: all of it without the header."""
    if not header:
        return size
    if not header.isdigit() or int(header) > size:
        found = header.decode("latin-1")
        raise wrong(
            f"Inference-Header-Content-Length: expected 0 to {size}, the body's length, "
            f"found {found[:40]}"
        )
    return int(header)


def parse_json(text: bytes) -> Json:
    try:
        request = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise wrong(f"expected JSON: {error}") from None
    if not isinstance(request, dict):
        raise wrong(f"expected a JSON object, found {show(request)}")
    return request


def parse_input(tensor: Any, rest: memoryview, shape: tuple[int, ...], most_images: int) -> Pixels:
    """The images of the request's one input, which may lie in the bytes after the JSON."""
    if not isinstance(tensor, dict):
        raise wrong(f"inputs: expected objects, found {show(tensor)}")
    if tensor.get("name") != INPUT:
        raise wrong(f"expected the input {INPUT}, found {show(tensor.get('name'))}")
    if tensor.get("datatype") != INPUT_TYPE:
        raise wrong(f"{INPUT}: expected datatype {INPUT_TYPE}, found "
                    f"{show(tensor.get('datatype'))}")  # fmt: skip
    found = typed(tensor, "shape", list, INPUT)
    are_sizes = all(type(size) is int for size in found)
    if not are_sizes or tuple(found[1:]) != shape or not found or found[0] < 1:
        expected = ", ".join(map(str, shape))
        raise wrong(f"{INPUT}: expected shape [count, {expected}], found {show(found)}")
    if found[0] > most_images:
        raise RefusedError(413, f"{INPUT}: {found[0]} images, more than {most_images}")
    parameters = typed(tensor, "parameters", dict, INPUT, {})
    if "shared_memory_region" in parameters:
        raise wrong(f"{INPUT}: shared memory is not supported; send the tensor in the request")
    size = math.prod(found)
    if "binary_data_size" in parameters:
        values = binary_values(parameters["binary_data_size"], rest, size)
    else:
        if len(rest):
            raise wrong(f"{len(rest)} bytes after the JSON belong to no input")
        values = json_values(typed(tensor, "data", list, INPUT), size)
    return values.reshape(found)


def binary_values(declared: object, rest: memoryview, size: int) -> Pixels:
    if type(declared) is not int or declared != size or len(rest) != size:
        raise wrong(
            f"{INPUT}: expected {size} bytes, as its shape says, found binary_data_size "
            f"{show(declared)} and {len(rest)} bytes after the JSON"
        )
    return np.frombuffer(rest, np.uint8)


def json_values(data: list[Any], size: int) -> Pixels:
    """Whole numbers from 0 to 255, in one list or nested ones."""
    values: Sequence[Any] = data
    while values and isinstance(values[0], list):
        try:
            values = list(chain.from_iterable(values))
        except TypeError:
            raise wrong(f"{INPUT}: expected lists nested to the same depth") from None
    if len(values) != size:
        raise wrong(f"{INPUT}: expected {size} values, as its shape says, found {len(values)}")
    if set(map(type, values)) != {int}:
        other = next(value for value in values if type(value) is not int)
        raise wrong(f"{INPUT}: expected whole numbers from 0 to 255, found {show(other)}")
    if min(values) < 0 or max(values) > 255:
        other = next(value for value in values if value not in BYTE_VALUES)
        raise wrong(f"{INPUT}: expected whole numbers from 0 to 255, found {show(other)}")
    return np.array(values, np.uint8)


def wants_binary(outputs: list[Any], by_default: bool) -> bool:
    """Whether the one output is asked for as bytes; without `outputs` it is given as well."""
    binary = by_default
    for output in outputs:
        if not isinstance(output, dict) or output.get("name") != OUTPUT:
            name = output.get("name") if isinstance(output, dict) else output
            raise wrong(f"outputs: expected {OUTPUT}, found {show(name)}")
        parameters = typed(output, "parameters", dict, OUTPUT, {})
        for name in ("classification", "shared_memory_region"):
            if name in parameters:
                raise wrong(f"{OUTPUT}: the parameter {name} is not supported")
        binary = typed(parameters, "binary_data", bool, OUTPUT, by_default)
    return binary


def typed(values: Json, key: str, kind: type, where: str, default: Any = None) -> Any:
    """A value of that type. Raises RefusedError for another, or for none without a default."""
    value = values.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, kind):
        names = {list: "a list", dict: "an object", bool: "true or false"}
        raise wrong(f"{where}: expected {key} as {names[kind]}, found {show(value)}")
    return value


def show(value: object) -> str:
    """A value as JSON has it, cut to a readable length."""
    try:
        text = json.dumps(value)
    except (RecursionError, ValueError):
        return "a value that is too deep or too long to show"
    return text if len(text) <= 60 else f"{text[:60]}..."


def wrong(reason: str) -> RefusedError:
    return RefusedError(400, reason)


# Writing


def infer_reply(request: InferRequest, probabilities: Probabilities) -> Reply:
    output: Json = {"name": OUTPUT, "shape": list(probabilities.shape), "datatype": OUTPUT_TYPE}
    content: Json = {"model_name": MODEL_NAME, "model_version": VERSION}
    if request.id is not None:
        content["id"] = request.id
    if not request.binary:
        output["data"] = probabilities.ravel().tolist()
        head = json.dumps(content | {"outputs": [output]}, separators=(",", ":")).encode()
        return Reply(200, head)
    tail = probabilities.astype("<f4", copy=False).tobytes()
    output["parameters"] = {"binary_data_size": len(tail)}
    head = json.dumps(content | {"outputs": [output]}, separators=(",", ":")).encode()
    length = str(len(head)).encode()
    return Reply(200, head + tail, ((b"content-type", BINARY), (LENGTH_HEADER, length)))


def server_metadata(version: str) -> Json:
    return {"name": SERVER_NAME, "version": version, "extensions": EXTENSIONS}


def model_metadata(shape: tuple[int, ...], class_count: int) -> Json:
    """-1 stands for any count of images."""
    return {
        "name": MODEL_NAME,
        "versions": [VERSION],
        "platform": PLATFORM,
        "inputs": [{"name": INPUT, "datatype": INPUT_TYPE, "shape": [-1, *shape]}],
        "outputs": [{"name": OUTPUT, "datatype": OUTPUT_TYPE, "shape": [-1, class_count]}],
    }
