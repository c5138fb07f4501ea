"""A tiny classifier as models/classifier has one, and a server of it, for tests of what uses it.

It takes the images of conftest.tiny_images: its network adds up each class's columns.
"""

import hashlib
import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from conftest import CLASSES, ROOT, SHAPE, tiny_images
from faults import PATIENCE
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

HEIGHT, WIDTH = SHAPE
THRESHOLD = 0.6
IMAGES, LABELS = tiny_images(30, seed=5)
DOUBTFUL = np.zeros(SHAPE, np.uint8)  # every class is as probable as the others


def png(image: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", **options)
    return file.getvalue()


def description(**changes: object) -> dict[str, object]:
    """The tiny classifier's model.json, with these changes."""
    return {
        "title": "Tiny bars",
        "classes": CLASSES,
        "class_axis": "Place",
        "images": {
            "height": HEIGHT, "width": WIDTH, "colour": "grey", "fit": "stretch", "background": 0,
        },
        "accuracy": 1.0,
        "test_images": 30,
        "accepted_error": 0.01,
        "threshold": THRESHOLD,
        "coverage": 1.0,
        "error": 0.0,
        "md5": "0" * 32,
    } | changes  # fmt: skip


def softmax_of(weights: np.ndarray, shape: tuple[int, ...]) -> onnx.ModelProto:
    """The network that multiplies an image's pixels by weights (pixels, classes)."""
    nodes = [
        helper.make_node("Cast", ["images"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["values"], ["rows"]),
        helper.make_node("Gemm", ["rows", "weights"], ["sums"]),
        helper.make_node("Softmax", ["sums"], ["probabilities"]),
    ]
    answer = ["batch", weights.shape[1]]
    graph = helper.make_graph(
        nodes, "linear",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", *shape])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, answer)],
        [numpy_helper.from_array(weights, "weights")],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def network(channels: int = 1) -> onnx.ModelProto:
    """Softmax of the sum of each class's columns; in colour, that of all channels."""
    columns = np.zeros((HEIGHT, WIDTH, channels, len(CLASSES)), np.float32)
    for label in range(len(CLASSES)):
        columns[:, 1 + 3 * label : 3 + 3 * label, :, label] = 1 / (HEIGHT * 2 * 20 * channels)
    shape = (HEIGHT, WIDTH, *([channels] if channels > 1 else []))
    return softmax_of(columns.reshape(-1, len(CLASSES)), shape)


def write_network(folder: Path, model: onnx.ModelProto, **changes: object) -> Path:
    """A network as a classifier's two files, in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    write_description(folder, **changes)
    return folder


def write_classifier(folder: Path, channels: int = 1, **changes: object) -> Path:
    """The tiny classifier's two files in a folder."""
    return write_network(folder, network(channels), **changes)


def write_description(folder: Path, **changes: object) -> None:
    """model.json of the model.onnx that lies in the folder."""
    md5 = hashlib.md5((folder / "model.onnx").read_bytes(), usedforsecurity=False).hexdigest()
    text = json.dumps(description(md5=md5) | changes)
    (folder / "model.json").write_text(text, encoding="utf-8")


@pytest.fixture(scope="session")
def classifier_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifier(tmp_path_factory.mktemp("classifier"))


class Answered(NamedTuple):
    status: int
    content: Any  # JSON, parsed; else bytes
    headers: dict[str, str]


class RunningServer:
    """A server process on a port that the system chose."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.process, self.port, self.log = process, port, log
        self.url = f"127.0.0.1:{port}"

    def ask(
        self, path: str, body: bytes | None = None, method: str = "", **headers: str
    ) -> Answered:
        """GET without a body, else POST; header names have _ for -."""
        connection = http.client.HTTPConnection(self.url, timeout=PATIENCE)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method or ("GET" if body is None else "POST"), path, body, named)
            answer = connection.getresponse()
            content, kind = answer.read(), answer.headers.get("content-type")
            parsed = json.loads(content) if kind == "application/json" and content else content
            return Answered(answer.status, parsed, {k.lower(): v for k, v in answer.getheaders()})
        finally:
            connection.close()

    def memory(self) -> int:
        """Resident bytes; Linux alone tells."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"^VmRSS:\s+(\d+)", status, re.MULTILINE)[1]) * 1024  # type: ignore[index]


@contextmanager
def running_server(
    folder: Path, classifier: Path, *options: str, cwd: Path = ROOT
) -> Iterator[RunningServer]:
    """`python -m serving` until the block ends."""
    log = folder / "server.log"
    command = [sys.executable, "-m", "serving", "--port", "0", "--classifier", str(classifier)]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, *options], stdout=file, stderr=file, cwd=cwd, env=os.environ | {"COMMIT": ""}
        )
    try:
        yield RunningServer(process, wait_for_port(process, log), log)
    finally:
        process.kill()
        process.wait()


def wait_for_port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    """The port that the server says it listens on."""
    end = time.monotonic() + PATIENCE
    while True:
        said = log.read_text(encoding="utf-8")
        assert process.poll() is None, f"ended: {said}"
        assert time.monotonic() < end, f"does not answer: {said}"
        if found := re.search(r"running on http://[0-9.]+:(\d+)", said):
            return int(found[1])
        time.sleep(0.02)


@pytest.fixture(scope="module")
def server(
    classifier_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """A server of the tiny classifier; after the tests it ends at SIGTERM without a traceback."""
    with running_server(tmp_path_factory.mktemp("server"), classifier_folder) as running:
        yield running
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(PATIENCE)
        assert "Traceback" not in running.log.read_text(encoding="utf-8")
