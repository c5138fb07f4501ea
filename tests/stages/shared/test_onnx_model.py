"""The ONNX file of a classifier, opened: what is refused, and what a good one gives."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stages.shared.errors import UserError
from stages.shared.onnx_model import (
    BATCH_IMAGES,
    BATCH_VALUES,
    OnnxModel,
    load_model,
    open_model,
    predict,
)
from stages.shared.onnx_shapes import shape_of_output

SHAPE = (6, 5)
IMAGES = np.random.default_rng(0).integers(0, 256, (1201, *SHAPE), dtype=np.uint8)
WEIGHTS = np.random.default_rng(1).normal(0, 0.01, (30, 3)).astype(np.float32)


def floats(name: str, values: Any) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, np.float32), name)


def node(operator: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), [output], **attributes)


def make_model() -> onnx.ModelProto:
    """Softmax of a matrix product, as small as train's smallest."""
    graph = helper.make_graph(
        [
            node("Cast", "images", "values", to=TensorProto.FLOAT),
            node("Mul", "values by", "scaled"),
            node("Flatten", "scaled", "rows", axis=1),
            node("Gemm", "rows weights", "sums"),
            node("Softmax", "sums", "probabilities", axis=-1),
        ],
        "classifier",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", *SHAPE])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3])],
        [floats("by", 1 / 255), floats("weights", WEIGHTS)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


def write(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_a_good_file_gives_probabilities(tmp_path):
    model = open_model(write(make_model(), tmp_path))
    assert (model.image_shape, model.classes) == (SHAPE, 3)
    found = predict(model, IMAGES)
    sums = np.exp(IMAGES.reshape(-1, 30) / np.float32(255) @ WEIGHTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, sums / sums.sum(axis=1, keepdims=True), atol=1e-6)


def test_batches_and_threads_change_no_bit():
    content = make_model().SerializeToString()
    one = predict(load_model(content, 1), IMAGES)
    assert len(IMAGES) > 2 * BATCH_IMAGES
    assert (predict(load_model(content, 2), IMAGES) == one).all()
    singly = [predict(load_model(content), IMAGES[i : i + 1])[0] for i in range(3)]
    assert (np.stack(singly) == one[:3]).all()


def test_no_images_give_no_probabilities():
    assert predict(load_model(make_model().SerializeToString()), IMAGES[:0]).shape == (0, 3)


@pytest.mark.parametrize("images", [IMAGES[:, 1:], IMAGES.astype(np.float32), IMAGES[..., None]])
def test_other_images_are_refused(images):
    model = load_model(make_model().SerializeToString())
    with pytest.raises(UserError, match=r"expected images \(count, 6, 5\) as uint8"):
        predict(model, images)


def test_probabilities_that_are_no_numbers_are_refused():
    model = make_model()
    model.graph.initializer[1].CopyFrom(floats("weights", np.full((30, 3), 3e38)))
    with pytest.raises(UserError, match=r"no finite numbers.*train\.learning_rate"):
        predict(load_model(model.SerializeToString()), IMAGES)


def test_a_missing_file_is_named_with_what_brings_it_back(tmp_path):
    with pytest.raises(UserError, match=r"model\.onnx is missing: `dvc checkout` or `dvc pull`"):
        open_model(tmp_path / "model.onnx")
    with pytest.raises(UserError, match="is missing"):
        open_model(tmp_path)


# Files that are not ours


def store_outside(model: onnx.ModelProto) -> None:
    weight = model.graph.initializer[1]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "../secret"


def claim_more(model: onnx.ModelProto) -> None:
    model.graph.initializer[1].dims[0] = 2**40


def add_not_a_number(model: onnx.ModelProto) -> None:
    model.graph.initializer[1].CopyFrom(floats("weights", np.full((30, 3), np.nan)))


def add_function(model: onnx.ModelProto) -> None:
    model.functions.add().name = "f"


def add_custom_domain(model: onnx.ModelProto) -> None:
    model.graph.node[1].domain = "com.microsoft"


def import_custom_domain(model: onnx.ModelProto) -> None:
    model.opset_import.add().domain = "com.microsoft"


def use_unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[1].op_type = "Expand"


def hold_a_loop(model: onnx.ModelProto) -> None:
    body = helper.make_attribute("body", model.graph)
    model.graph.node[1].attribute.append(body)


def multiply_two_values(model: onnx.ModelProto) -> None:
    model.graph.node[1].input[1] = "values"


def average_two_values(model: onnx.ModelProto) -> None:
    model.graph.node[1].op_type = "Mean"


def pad_without_end(model: onnx.ModelProto) -> None:
    model.graph.node[1].attribute.append(helper.make_attribute("pads", [2**40] * 4))


def add_an_input(model: onnx.ModelProto) -> None:
    model.graph.input.add().CopyFrom(helper.make_tensor_value_info("more", TensorProto.UINT8, [1]))


def take_floats(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def take_another_name(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "x"


def take_one_image(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def take_huge_images(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2**31


def take_any_size(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "height"


def take_four_colours(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim.add().dim_value = 4


def give_logits_of_a_pixel(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.shape.dim.add().dim_value = 4


def disagree_with_weights(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 7


def claim_more_classes(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 4


def name_two_weights_alike(model: onnx.ModelProto) -> None:
    model.graph.initializer.add().CopyFrom(floats("by", 255))


def name_a_weight_as_the_input(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].name = model.graph.node[1].input[1] = "images"


def name_a_weight_as_nothing(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].name = model.graph.node[1].input[1] = ""


def leave_an_input_out(model: onnx.ModelProto) -> None:
    model.graph.node[1].input[1] = ""


def say_an_attribute_twice(model: onnx.ModelProto) -> None:
    model.graph.node[4].attribute.append(helper.make_attribute("axis", -1))


def say_two_values_of_an_attribute(model: onnx.ModelProto) -> None:
    model.graph.node[4].attribute[0].s = b"last"


def give_two_values(model: onnx.ModelProto) -> None:
    model.graph.node[4].output.append("more")


def forget_the_graph(model: onnx.ModelProto) -> None:
    model.ClearField("graph")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (store_outside, "a weight has a field 13, which train does not write"),
        (claim_more, r"the weight 'weights' has 360 bytes for shape \[1099511627776, 3\]"),
        (add_not_a_number, "the weight 'weights' has values that are no finite numbers"),
        (add_function, "the file has a field 25"),
        (add_custom_domain, "a node has a field 7"),
        (import_custom_domain, "expected the standard operators alone"),
        (use_unknown_operator, "the operator 'Expand' is not one of its layers'"),
        (hold_a_loop, "an attribute of Mul has a field 6"),
        (multiply_two_values, r"the operator Mul takes \[\(6, 5\), \(6, 5\)\]"),
        (average_two_values, r"the operator Mean takes \[\(6, 5\), \(\)\]"),
        (pad_without_end, "Mul has an attribute 'pads', which train does not write"),
        (add_an_input, "expected images alone, found 2"),
        (take_floats, "expected images of type 2, found 'images' of type"),
        (take_another_name, "expected images of type 2, found 'x'"),
        (take_one_image, "expected images for any number of images"),
        (take_huge_images, r"expected images \(height, width"),
        (take_any_size, "each of a fixed size"),
        (take_four_colours, r"expected images \(height, width"),
        (give_logits_of_a_pixel, "expected a probability for each class"),
        (disagree_with_weights, r"the operator Gemm takes \[\(35,\), \(30, 3\)\]"),
        (claim_more_classes, r"expected probabilities \(4,\), found \(3,\)"),
        (name_two_weights_alike, "two weights or inputs have the name 'by'"),
        (name_a_weight_as_the_input, "two weights or inputs have the name 'images'"),
        (name_a_weight_as_nothing, "two weights or inputs have the name ''"),
        (leave_an_input_out, r"the operator Mul takes \[\(6, 5\), \(0,\)\]"),
        (say_an_attribute_twice, "Softmax has two values of 'axis'"),
        (say_two_values_of_an_attribute, "Softmax has two values of 'axis'"),
        (give_two_values, "expected one text, found 2"),
        (forget_the_graph, "expected one graph, found 0"),
    ],
)
def test_what_train_does_not_write_is_refused(tmp_path, change, message):
    model = make_model()
    change(model)
    path = write(model, tmp_path)
    expected = f"model.onnx: not a model that this project wrote: .*{message}.*`dvc checkout`"
    with pytest.raises(UserError, match=re.compile(expected, re.DOTALL)):
        open_model(path)


def test_a_weight_with_two_names_is_refused():
    """The check would see another weight than ONNX Runtime, which takes the last name."""
    model = make_model()
    model.graph.initializer[0].name = "b__y"
    whole, twice = b"\x42\x04b__y", b"\x42\x01b\x42\x01y"  # of equal length, so nothing else moves
    content = model.SerializeToString()
    assert content.count(whole) == 1
    with pytest.raises(ValueError, match="expected one text, found 2"):
        load_model(content.replace(whole, twice))


def test_an_integer_above_64_bits_is_refused():
    """ONNX Runtime drops the bits above and takes a stride of 2**65 + 1 as 1."""
    content, minus_one = make_model().SerializeToString(), b"\xff" * 9
    assert content.count(minus_one + b"\x01") == 1
    with pytest.raises(ValueError, match="damaged"):
        load_model(content.replace(minus_one + b"\x01", minus_one + b"\x7f"))


def test_a_file_cut_off_anywhere_is_refused(tmp_path):
    content = make_model().SerializeToString()
    path = tmp_path / "model.onnx"
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match="not a model that this project wrote"):
            open_model(path)


def test_a_damaged_file_never_ends_in_a_traceback(tmp_path, capfd):
    """Each bit but those of the weights' values, in which any bits are a number."""
    content = make_model().SerializeToString()
    path, opened = tmp_path / "model.onnx", 0
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            predict(open_model(path), IMAGES[:2])
            opened += 1
        except UserError:
            pass
    assert opened < len(content)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n" * 9, b"<html>" * 99])
def test_other_kinds_of_files_are_refused(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a model that this project wrote"):
        open_model(path)


# Each operator alone: what train writes of it, and what would ask for more


CHANNELS = (3, 8, 6)  # an image's shape, channels first
KERNEL = np.zeros((4, 3, 3, 3), np.float32)
CONV = {"kernel_shape": [3, 3], "strides": [2, 1], "pads": [0, 1, 1, 1]}
ONE_PIXEL = {"kernel_shape": [1, 1], "strides": [1, 1], "pads": [0] * 4}
RESIZE = {"mode": b"linear", "coordinate_transformation_mode": b"half_pixel"}
ONE = np.float32(1)


def scales(*values: float) -> list[np.ndarray]:
    """What Resize takes after the image: no region of interest, and the scales."""
    return [np.empty(0, np.float32), np.array(values, np.float32)]


USES = pytest.mark.parametrize(
    ("operator", "values", "weights", "attributes", "expected"),
    [
        ("Cast", [(6, 5)], [], {"to": TensorProto.FLOAT}, (6, 5)),
        ("Mul", [(6, 5)], [ONE], {}, (6, 5)),
        ("Relu", [CHANNELS], [], {}, CHANNELS),
        ("BatchNormalization", [CHANNELS], [KERNEL[0, :, 0, 0]] * 4, {"epsilon": 1e-3}, CHANNELS),
        ("Flatten", [CHANNELS], [], {"axis": 1}, (144,)),
        ("Flatten", [CHANNELS], [], {}, (144,)),
        ("Gemm", [(4,)], [KERNEL[:, :, 0, 0], KERNEL[0, :, 0, 0]], {}, (3,)),
        ("Softmax", [(3,)], [], {"axis": -1}, (3,)),
        ("Softmax", [(3,)], [], {}, (3,)),
        ("Add", [(6, 5)], [ONE], {}, (6, 5)),
        ("Add", [CHANNELS, CHANNELS], [], {}, CHANNELS),
        ("Clip", [CHANNELS], [ONE, ONE], {}, CHANNELS),
        ("Concat", [(6, 5, 1)] * 3, [], {"axis": -1}, (6, 5, 3)),
        ("Conv", [CHANNELS], [KERNEL], CONV, (4, 4, 6)),
        ("Conv", [CHANNELS], [KERNEL, KERNEL[:, 0, 0, 0]], CONV, (4, 4, 6)),
        ("Conv", [CHANNELS], [KERNEL[:3, :1]], CONV | {"group": 3}, (3, 4, 6)),
        ("Resize", [CHANNELS], scales(1, 1, 2.5, 16 / 6), RESIZE, (3, 20, 16)),
        ("Resize", [CHANNELS], scales(1, 1, 128, 1), RESIZE, (3, 1024, 6)),
        ("Transpose", [(8, 6, 3)], [], {"perm": [0, 3, 1, 2]}, CHANNELS),
        ("GlobalAveragePool", [CHANNELS], [], {}, (3, 1, 1)),
        ("Mean", [(3,), (3,)], [], {}, (3,)),
        ("Reshape", [(6, 5)], [np.array([-1, 6, 5, 1])], {}, (6, 5, 1)),
    ],
)


@USES
def test_what_train_writes_of_an_operator_has_a_shape(
    operator, values, weights, attributes, expected
):
    assert shape_of_output(operator, values, weights, attributes) == expected


@USES
def test_onnx_itself_infers_the_same_shape(operator, values, weights, attributes, expected):
    names = [f"value_{number}" for number in range(len(values))]
    of_weights = [f"weight_{place}" if weight.size else "" for place, weight in enumerate(weights)]
    kind = TensorProto.UINT8 if operator == "Cast" else TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node(operator, [*names, *of_weights], ["output"], **attributes)],
        "one",
        [
            helper.make_tensor_value_info(name, kind, [7, *shape])
            for name, shape in zip(names, values, strict=True)
        ],
        [helper.make_empty_tensor_value_info("output")],
        [
            numpy_helper.from_array(np.asarray(weight), name)
            for name, weight in zip(of_weights, weights, strict=True)
            if name
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    sizes = inferred.graph.output[0].type.tensor_type.shape.dim
    assert tuple(size.dim_value for size in sizes) == (7, *expected)


@pytest.mark.parametrize(
    ("operator", "values", "weights", "attributes"),
    [
        ("Add", [(1, 1, 4000), (4000, 4000, 1)], [], {}),
        ("Add", [CHANNELS], [np.ones(6, np.float32)], {}),
        ("Add", [CHANNELS] * 3, [], {}),
        ("Add", [], [ONE, ONE], {}),
        ("Cast", [(6, 5)], [], {"to": TensorProto.STRING}),
        ("Cast", [(6, 5)], [], {}),
        ("Relu", [CHANNELS, CHANNELS], [], {}),
        ("Clip", [CHANNELS], [ONE], {}),
        ("Clip", [CHANNELS], [ONE, np.ones(2, np.float32)], {}),
        ("Concat", [(6, 5, 1)] * 4, [], {"axis": -1}),
        ("Concat", [(6, 5, 1), (6, 5, 2)], [], {"axis": -1}),
        ("Concat", [(6, 5, 1)] * 3, [], {"axis": 0}),
        ("Concat", [(6, 5, 1)] * 3, [], {}),
        ("Conv", [CHANNELS], [KERNEL[:, :2]], CONV),
        ("Conv", [CHANNELS], [KERNEL[:, :1]], CONV | {"group": 3}),
        ("Conv", [CHANNELS], [KERNEL], CONV | {"group": 0}),
        ("Conv", [CHANNELS], [KERNEL], CONV | {"strides": [0, 1]}),
        ("Conv", [CHANNELS], [KERNEL], CONV | {"strides": [-1, 1]}),
        ("Conv", [CHANNELS], [KERNEL], CONV | {"pads": [2**40] * 4}),
        ("Conv", [CHANNELS], [KERNEL], CONV | {"pads": [-1] * 4}),
        ("Conv", [CHANNELS], [KERNEL], CONV | {"pads": [3, 0, 0, 0]}),
        ("Conv", [CHANNELS], [KERNEL], CONV | {"kernel_shape": [2, 2]}),
        ("Conv", [CHANNELS], [KERNEL], CONV | {"dilations": [2, 2]}),
        ("Conv", [CHANNELS], [KERNEL], CONV | {"group": 2}),
        ("Conv", [CHANNELS], [KERNEL, np.ones(3, np.float32)], CONV),
        ("Conv", [CHANNELS], [KERNEL], CONV | {"strides": [1]}),
        ("Conv", [CHANNELS], [KERNEL], CONV | {"pads": [0, 0]}),
        ("Conv", [CHANNELS], [KERNEL], CONV | {"pads": [0] * 5}),
        ("Conv", [CHANNELS], [KERNEL], CONV | {"auto_pad": b"SAME_UPPER"}),
        ("Conv", [(3, 1024, 1024)], [np.broadcast_to(ONE, (257, 3, 1, 1))], ONE_PIXEL),
        ("Conv", [CHANNELS], [], CONV),
        ("Conv", [(3, 2, 2)], [KERNEL], CONV | {"pads": [0] * 4}),
        ("Resize", [CHANNELS], scales(1, 1, 1000, 1000), RESIZE),
        ("Resize", [CHANNELS], scales(1000, 1, 1, 1), RESIZE),
        ("Resize", [CHANNELS], scales(1, 1000, 1, 1), RESIZE),
        ("Resize", [CHANNELS], scales(1, 1, 0.5, 0.5), RESIZE),
        ("Resize", [CHANNELS], scales(1, 1, -2, 2), RESIZE),
        ("Resize", [CHANNELS], scales(1, 1, 2), RESIZE),
        ("Resize", [CHANNELS], scales(1, 1, 3e38, 1), RESIZE),
        ("Resize", [CHANNELS], scales(1, 1, np.nan, 1), RESIZE),
        ("Resize", [CHANNELS], scales(1, 1, 2, 2)[1:], RESIZE),
        ("Resize", [CHANNELS], [ONE[None], *scales(1, 1, 2, 2)[1:]], RESIZE),
        ("Resize", [CHANNELS], [*scales(), np.array([1, 3, 9, 9])], RESIZE),
        ("Resize", [CHANNELS], scales(1, 1, 2, 2), RESIZE | {"antialias": 1}),
        ("Resize", [CHANNELS], [], RESIZE),
        ("Resize", [CHANNELS], scales(1, 1, 2, 2), RESIZE | {"mode": b"cubic"}),
        ("Resize", [CHANNELS], scales(1, 1, 2, 2), {"mode": b"linear"}),
        ("Resize", [(6, 5)], scales(1, 1, 2, 2), RESIZE),
        ("Transpose", [(8, 6, 3)], [], {"perm": []}),
        ("Transpose", [(8, 6, 3)], [], {"perm": [0, 1, 1, 1]}),
        ("Transpose", [(8, 6, 3)], [], {"perm": [0, 3, 1]}),
        ("Transpose", [(8, 6, 3)], [], {"perm": [1, 0, 2, 3]}),
        ("Transpose", [(8, 6, 3)], [], {}),
        ("Reshape", [(6, 5)], [np.array([-1, 6, 6])], {}),
        ("Reshape", [(6, 5)], [np.array([1, 30])], {}),
        ("Reshape", [(6, 5)], [np.array([-1])], {}),
        ("Reshape", [(6, 5)], [np.array([-1, -6, -5])], {}),
        ("Reshape", [(6, 5)], [np.array([-1, 0, 5])], {}),
        ("Gemm", [(30,)], [np.ones((30, 3)), np.ones(4)], {}),
        ("Gemm", [(30,)], [np.ones((30, 3))], {"transA": 1}),
        ("Gemm", [(10_000,)], [np.broadcast_to(ONE, (10_000, 2**40))], {}),
        ("BatchNormalization", [CHANNELS], [np.ones(3)] * 3, {}),
        ("BatchNormalization", [CHANNELS], [np.ones(4)] * 4, {}),
        ("Softmax", [CHANNELS], [], {"axis": -1}),
        ("Softmax", [(3,)], [], {"axis": 0}),
        ("Mean", [CHANNELS, CHANNELS], [], {}),
        ("Mean", [(3,), (4,)], [], {}),
        ("Mean", [], [], {}),
        ("Mean", [(3,)], [ONE], {}),
        ("Flatten", [CHANNELS], [], {"axis": 0}),
        ("GlobalAveragePool", [(3,)], [], {}),
    ],
)
def test_any_other_use_of_an_operator_is_refused(operator, values, weights, attributes):
    with pytest.raises(ValueError, match=operator):
        shape_of_output(operator, values, weights, attributes)


def test_values_are_taken_after_they_are_made_and_made_once():
    model = make_model()
    first, *_, last = model.graph.node
    for nodes in ([*model.graph.node, first], [last, *model.graph.node]):
        changed = onnx.ModelProto.FromString(model.SerializeToString())
        del changed.graph.node[:]
        changed.graph.node.extend(nodes)
        with pytest.raises(ValueError, match=r"two nodes give|the operator Softmax takes sums"):
            load_model(changed.SerializeToString())


def make_residual_model(side: int, filters: int, sums: int) -> onnx.ModelProto:
    """Grey images, each sum of a value and of its convolution; the head takes the mean of all."""
    kernel = np.zeros((filters, filters, 1, 1))
    nodes = [
        node("Reshape", "images shape", "grey"),
        node("Cast", "grey", "floats", to=TensorProto.FLOAT),
        node("Conv", "floats first", "sum_0", **ONE_PIXEL),
    ]
    for number in range(sums):
        nodes += [
            node("Conv", f"sum_{number} kernel", f"filtered_{number}", **ONE_PIXEL),
            node("Add", f"sum_{number} filtered_{number}", f"sum_{number + 1}"),
        ]
    nodes += [
        node("GlobalAveragePool", f"sum_{sums}", "means"),
        node("Flatten", "means", "rows", axis=1),
        node("Gemm", "rows weights", "logits"),
        node("Softmax", "logits", "probabilities", axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", side, side])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3])],
        [
            numpy_helper.from_array(np.array([-1, 1, side, side]), "shape"),
            floats("first", np.ones((filters, 1, 1, 1))),
            floats("kernel", kernel),
            floats("weights", np.zeros((filters, 3))),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


def test_values_that_wait_are_bounded_together():
    """Each is small enough, but ONNX Runtime may compute all of them before it adds the first."""
    with pytest.raises(ValueError, match="320,864,256 values of an image wait"):
        load_model(make_residual_model(side=1024, filters=51, sums=3).SerializeToString())


@pytest.mark.parametrize(("sums", "largest"), [(0, 8 * 8 * 4), (2, 4 * 8 * 8 * 4)])
def test_the_batch_goes_by_the_largest_layer_or_by_all_that_wait(sums, largest):
    model = load_model(make_residual_model(side=8, filters=4, sums=sums).SerializeToString())
    assert model.largest == largest


@pytest.mark.parametrize(
    ("largest", "expected"),
    [
        (28 * 28, BATCH_IMAGES),  # the default mlp on MNIST
        (26 * 26 * 32, BATCH_IMAGES),  # the default cnn
        (64 * 64 * 96, 27),  # efficientnet_lite0 at 128 pixels
        (112 * 112 * 96, 8),  # and at 224
        (2 * BATCH_VALUES, 1),
    ],
)
def test_fewer_images_run_at_once_in_a_network_of_larger_layers(largest, expected):
    sizes = []

    class Session:
        def run(self, _names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            sizes.append(len(inputs["images"]))
            return [np.zeros((sizes[-1], 3), np.float32)]

    predict(OnnxModel(Session(), SHAPE, 3, largest), IMAGES[: expected + 1])
    assert sizes == [expected, 1]
