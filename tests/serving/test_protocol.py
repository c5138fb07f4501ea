"""The Open Inference Protocol: Triton's own client, and each request that is not right."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton
from classifiers import IMAGES, LABELS, RunningServer, classifier_folder, server
from conftest import CLASSES, SHAPE
from tritonclient.utils import InferenceServerException

from serving.classifier import open_classifier
from serving.protocol import parse_request
from serving.replies import RefusedError

__all__ = ["classifier_folder", "server"]  # fixtures

INFER = "/v2/models/classifier/infer"


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.url) as client:
        yield client


@pytest.fixture(scope="module")
def expected(classifier_folder: Path) -> np.ndarray:
    return open_classifier(classifier_folder).predict(IMAGES)


def tensor(images: np.ndarray = IMAGES, **changes: object) -> dict[str, object]:
    return {
        "name": "images", "shape": list(images.shape), "datatype": "UINT8",
        "data": images.ravel().tolist(),
    } | changes  # fmt: skip


def request(**changes: object) -> bytes:
    return json.dumps({"inputs": [tensor()]} | changes).encode()


# Triton's client


def test_triton_s_client_sees_the_server_and_the_model(
    client: triton.InferenceServerClient,
) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("classifier")
    assert client.is_model_ready("classifier", "1")
    assert not client.is_model_ready("another")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    for metadata in (
        client.get_model_metadata("classifier"),
        client.get_model_metadata("classifier", "1"),
    ):
        (taken,), (given,) = metadata["inputs"], metadata["outputs"]
        assert taken == {"name": "images", "datatype": "UINT8", "shape": [-1, *SHAPE]}
        assert given == {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(CLASSES)]}


@pytest.mark.parametrize("input_is_binary", [True, False])
@pytest.mark.parametrize("output_is_binary", [True, False])
def test_triton_s_client_gets_the_network_s_probabilities(
    client: triton.InferenceServerClient,
    expected: np.ndarray,
    input_is_binary: bool,
    output_is_binary: bool,
) -> None:
    images = triton.InferInput("images", list(IMAGES.shape), "UINT8")
    images.set_data_from_numpy(IMAGES, binary_data=input_is_binary)
    wanted = triton.InferRequestedOutput("probabilities", binary_data=output_is_binary)
    for outputs, version in [([wanted], "1"), (None, "")]:
        result = client.infer(
            "classifier", [images], outputs=outputs, model_version=version, request_id="7"
        )
        assert result.get_response()["id"] == "7"
        found = result.as_numpy("probabilities")
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)
        assert found.argmax(axis=1).tolist() == LABELS.tolist()


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_triton_s_client_may_compress(
    client: triton.InferenceServerClient, expected: np.ndarray, algorithm: str
) -> None:
    images = triton.InferInput("images", list(IMAGES.shape), "UINT8")
    images.set_data_from_numpy(IMAGES)
    result = client.infer(
        "classifier", [images], request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )  # fmt: skip
    np.testing.assert_array_equal(result.as_numpy("probabilities"), expected)


def test_triton_s_client_shows_what_is_wrong(client: triton.InferenceServerClient) -> None:
    images = triton.InferInput("images", [1, 2, 2], "UINT8")
    images.set_data_from_numpy(np.zeros((1, 2, 2), np.uint8))
    with pytest.raises(InferenceServerException, match=r"expected shape \[count, 12, 10\], found"):
        client.infer("classifier", [images])
    with pytest.raises(InferenceServerException, match="expected the model classifier, found x"):
        client.infer("x", [images])
    with pytest.raises(InferenceServerException, match="expected version 1 of classifier, found 2"):
        client.infer("classifier", [images], model_version="2")


# By hand


def test_json_may_be_nested_and_gets_json(server: RunningServer, expected: np.ndarray) -> None:
    for data in (IMAGES.tolist(), IMAGES.reshape(len(IMAGES), -1).tolist()):
        answered = server.ask(INFER, request(inputs=[tensor(data=data)], id="a"))
        assert answered.status == 200
        (output,) = answered.content.pop("outputs")
        assert answered.content == {"model_name": "classifier", "model_version": "1", "id": "a"}
        assert output.pop("data") == pytest.approx(expected.ravel().tolist())
        assert output == {"name": "probabilities", "shape": [30, 3], "datatype": "FP32"}


def test_all_outputs_may_be_asked_for_as_bytes(server: RunningServer, expected: np.ndarray) -> None:
    answered = server.ask(INFER, request(parameters={"binary_data_output": True}))
    length = int(answered.headers["inference-header-content-length"])
    (output,) = json.loads(answered.content[:length])["outputs"]
    assert output["parameters"] == {"binary_data_size": expected.nbytes}
    assert answered.content[length:] == expected.tobytes()


def test_health_and_paths_of_the_specification(server: RunningServer) -> None:
    for path in ("/v2", "/v2/", "/v2/health/live", "/v2/health/ready",
                 "/v2/models/classifier/ready", "/v2/models/classifier/versions/1/ready",
                 "/v2/models/classifier/versions/1"):  # fmt: skip
        assert server.ask(path).status == 200, path
    assert server.ask("/v2/health/live").content == {"live": True}
    for path in ("/v2/models/x/ready", "/v2/models/classifier/versions/2", "/v2/models/x"):
        answered = server.ask(path)
        assert (answered.status, list(answered.content)) == (404, ["error"]), path


DEEP = b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
WRONG = {
    "no JSON": (b"images", "expected JSON"),
    "nothing": (b"", "expected JSON"),
    "no object": (b"[1]", "expected a JSON object, found [1]"),
    "too deep": (DEEP, "expected JSON"),
    "bytes that are no text": (b"\xff\xfe{}", "expected JSON"),
    "a huge number": (b'{"inputs": ' + b"9" * 5000 + b"}", "expected JSON"),
    "no inputs": (b"{}", "expected inputs as a list, found null"),
    "no input": (request(inputs=[]), "expected one input, images, found 0"),
    "two inputs": (request(inputs=[tensor(), tensor()]), "expected one input, images, found 2"),
    "an input that is a number": (request(inputs=[1]), "expected objects, found 1"),
    "another name": (request(inputs=[tensor(name="x")]), 'expected the input images, found "x"'),
    "another type": (
        request(inputs=[tensor(datatype="FP32")]), 'expected datatype UINT8, found "FP32"',
    ),
    "another shape": (
        request(inputs=[tensor(shape=[30, 10, 12])]),
        "expected shape [count, 12, 10], found [30, 10, 12]",
    ),
    "a negative count": (request(inputs=[tensor(shape=[-1, *SHAPE])]), "expected shape [count,"),
    "a shape of floats": (request(inputs=[tensor(shape=[30.0, *SHAPE])]), "expected shape [count"),
    "no shape": (request(inputs=[tensor(shape=None)]), "expected shape as a list, found null"),
    "no data": (request(inputs=[tensor(data=None)]), "expected data as a list, found null"),
    "too little data": (
        request(inputs=[tensor(data=[1, 2])]), "expected 3600 values, as its shape says, found 2",
    ),
    "NaN": (request(inputs=[tensor(data=[float("nan")] * 3600)]), "from 0 to 255, found NaN"),
    "infinity": (request(inputs=[tensor(data=[float("inf")] * 3600)]), "255, found Infinity"),
    "fractions": (request(inputs=[tensor(data=[0.5] * 3600)]), "whole numbers from 0 to 255"),
    "truth values": (request(inputs=[tensor(data=[True] * 3600)]), "255, found true"),
    "texts": (request(inputs=[tensor(data=["1"] * 3600)]), '255, found "1"'),
    "objects": (request(inputs=[tensor(data=[{}] * 3600)]), "255, found {}"),
    "256": (request(inputs=[tensor(data=[256] * 3600)]), "whole numbers from 0 to 255, found 256"),
    "below 0": (request(inputs=[tensor(data=[-1] * 3600)]), "from 0 to 255, found -1"),
    "uneven lists": (request(inputs=[tensor(data=[[1], 2])]), "nested to the same depth"),
    "bytes that are not there": (
        request(inputs=[tensor(parameters={"binary_data_size": 3600})]),
        "expected 3600 bytes, as its shape says, found binary_data_size 3600 and 0 bytes",
    ),
    "shared memory": (
        request(inputs=[tensor(parameters={"shared_memory_region": "x"})]),
        "shared memory is not supported",
    ),
    "another output": (request(outputs=[{"name": "x"}]), 'expected probabilities, found "x"'),
    "classification": (
        request(outputs=[{"name": "probabilities", "parameters": {"classification": 3}}]),
        "the parameter classification is not supported",
    ),
    "an id that is a number": (request(id=1), "id: expected a string, found 1"),
    "parameters that are a list": (request(parameters=[]), "expected parameters as an object"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_told_what_is_wrong(server: RunningServer, case: str) -> None:
    body, complaint = WRONG[case]
    answered = server.ask(INFER, body)
    assert answered.status == 400
    assert complaint in answered.content["error"]
    assert len(answered.content["error"]) < 300


@pytest.mark.parametrize(
    ("length", "rest", "complaint"),
    [
        ("-1", b"", "Inference-Header-Content-Length: expected 0 to "),
        ("999999", b"", "Inference-Header-Content-Length: expected 0 to "),
        ("x", b"", "Inference-Header-Content-Length: expected 0 to "),
        ("1", b"", "expected JSON"),
        ("", b"more", "expected JSON"),
        ("all", b"more", "4 bytes after the JSON belong to no input"),
    ],
)
def test_a_wrong_length_is_refused(
    server: RunningServer, length: str, rest: bytes, complaint: str
) -> None:
    body = request()
    named = str(len(body)) if length == "all" else length
    answered = server.ask(INFER, body + rest, inference_header_content_length=named)
    assert answered.status == 400
    assert complaint in answered.content["error"]


def test_a_thousand_images_are_answered(server: RunningServer) -> None:
    """More than are predicted in one batch with others."""
    many = np.resize(IMAGES, (1000, *SHAPE))
    answered = server.ask(INFER, request(inputs=[tensor(many)]))
    found = np.reshape(answered.content["outputs"][0]["data"], (1000, len(CLASSES)))
    assert found.argmax(axis=1).tolist() == np.resize(LABELS, 1000).tolist()


def test_more_images_than_allowed_are_refused(server: RunningServer) -> None:
    many = np.zeros((1001, *SHAPE), np.uint8)
    answered = server.ask(INFER, request(inputs=[tensor(many, data=[])]))
    assert (answered.status, answered.content) == (
        413, {"error": "images: 1001 images, more than 1000"}
    )  # fmt: skip


def test_a_body_that_grows_when_decompressed_is_refused(server: RunningServer) -> None:
    bomb = gzip.compress(bytes(1 << 26))
    answered = server.ask(INFER, bomb, content_encoding="gzip")
    assert (answered.status, answered.content["error"]) == (
        413, "the body is larger than 8,388,608 bytes"
    )  # fmt: skip
    for body, encoding, status in [
        (bomb[:100], "gzip", 400), (b"x", "gzip", 400), (b"x", "br", 415),
        (request(), "identity", 200),
    ]:  # fmt: skip
        assert server.ask(INFER, body, content_encoding=encoding).status == status


def test_colour_is_a_fourth_axis() -> None:
    images = np.arange(2 * 4 * 3 * 3, dtype=np.uint8).reshape(2, 4, 3, 3)
    body = request(inputs=[tensor(images)])
    np.testing.assert_array_equal(parse_request(body, b"", (4, 3, 3), 9).images, images)
    with pytest.raises(RefusedError, match=r"expected shape \[count, 4, 3\]"):
        parse_request(body, b"", (4, 3), 9)
