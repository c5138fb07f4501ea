"""docs/serving.md: its requests get the answers that it shows, its options are the server's."""

import ast
import json
import re
import shlex
import subprocess
from dataclasses import asdict
from pathlib import Path

import numpy as np
from classifiers import IMAGES, RunningServer, png, running_server, softmax_of, write_network
from conftest import ROOT

from serving.limits import Limits

DOCUMENT = (ROOT / "docs/serving.md").read_text(encoding="utf-8")
ADDRESS = "127.0.0.1:8000"
CLASSES = list("0123456789")
IMAGES_AS_MNIST = {"height": 28, "width": 28, "colour": "grey", "fit": "pad", "background": 0}


def write_mnist_classifier(folder: Path) -> Path:
    """Takes what MNIST's takes: it knows a class by the brightest of the first ten pixels."""
    weights = np.zeros((784, 10), np.float32)
    weights[range(10), range(10)] = 1
    model = softmax_of(weights, (28, 28))
    return write_network(folder, model, classes=CLASSES, images=IMAGES_AS_MNIST)


def ask(server: RunningServer, command: str, folder: Path) -> dict:
    """What a curl command of the document gets from this server."""
    words = shlex.split(command.replace(ADDRESS, server.url))
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_its_requests_get_what_it_shows(tmp_path: Path) -> None:
    for name in ("digit.png", "photo.jpg"):
        (tmp_path / name).write_bytes(png(IMAGES[0]))
    tensor = {"name": "images", "datatype": "UINT8", "shape": [1, 28, 28], "data": [0] * 784}
    (tmp_path / "request.json").write_text(json.dumps({"inputs": [tensor]}), encoding="utf-8")
    commands = re.findall(rf"^    (curl .*http://{ADDRESS}.*)$", DOCUMENT, re.MULTILINE)
    (shown,) = re.findall(r'`(\{"class".*\})`', DOCUMENT)
    (code,) = re.findall(r"```python\n(.+?)```", DOCUMENT, re.DOTALL)
    classifier = write_mnist_classifier(tmp_path / "classifier")
    with running_server(tmp_path, classifier) as server:
        one, several, tensors = (ask(server, command, tmp_path) for command in commands)
        assert one.keys() == json.loads(shown).keys()
        assert [each["file"] for each in several["predictions"]] == ["digit.png", "photo.jpg"]
        assert tensors["outputs"][0]["shape"] == [1, 10]
        found: dict = {}
        exec(compile(ast.parse(code.replace(ADDRESS, server.url)), "d", "exec"), found)  # noqa: S102
        np.testing.assert_allclose(found["probabilities"], np.full((2, 10), 0.1), rtol=1e-6)
        found["client"].close()


def test_it_names_each_limit_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `--([a-z-]+)` \| ([\d.,]+) ", DOCUMENT, re.MULTILINE))
    assert rows.keys() == {name.replace("_", "-") for name in asdict(Limits())}
    for name, default in asdict(Limits()).items():
        unit = {"body_bytes": 1 << 20, "pixels": 1_000_000}.get(name, 1)
        assert float(rows[name.replace("_", "-")].replace(",", "")) * unit == default, name
