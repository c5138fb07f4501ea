"""The server as its clients see it: answers, limits, metrics, and its end."""

import asyncio
import concurrent.futures
import http.client
import io
import json
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from classifiers import (
    DOUBTFUL,
    IMAGES,
    LABELS,
    RunningServer,
    classifier_folder,
    png,
    running_server,
    server,
    wait_for_port,
    write_classifier,
)
from conftest import CLASSES, ROOT
from faults import PATIENCE
from PIL import Image

from serving.batches import Batches
from serving.classifier import Classifier, open_classifier
from serving.limits import Limits
from stages.shared.onnx_model import predict as predict_images

__all__ = ["classifier_folder", "server"]  # fixtures

IMAGE = png(IMAGES[0])
BOUNDARY = "boundary"


def multipart(*parts: tuple[str, bytes]) -> dict[str, object]:
    """Arguments of `ask` for files under their names."""
    body = b"".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
        "Content-Type: image/png\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, content in parts
    )
    return {
        "body": body + f"--{BOUNDARY}--\r\n".encode(),
        "content_type": f"multipart/form-data; boundary={BOUNDARY}",
    }


def predict(server: RunningServer, body: bytes = IMAGE, **headers: str) -> tuple[int, dict]:
    answered = server.ask("/predict", body, **headers)
    return answered.status, answered.content


def dimensions_only(width: int, height: int) -> bytes:
    """A PNG that says it has this size, with hardly any data."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(9))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


# Answers


def test_an_image_gets_its_class(server: RunningServer) -> None:
    for image, label in zip(IMAGES, LABELS, strict=True):
        status, answer = predict(server, png(image), content_type="image/png")
        assert (status, answer["class"], answer["unsure"]) == (200, CLASSES[label], False)
        assert 0 < answer["runner_up_probability"] < answer["probability"] < 1
    assert predict(server, png(DOUBTFUL))[1] == {
        "class": "left", "probability": 0.333333, "runner_up": "middle",
        "runner_up_probability": 0.333333, "unsure": True,
    }  # fmt: skip


def test_formats_and_sizes_do_not_matter(server: RunningServer) -> None:
    large = Image.fromarray(IMAGES[1]).resize((1000, 1200))
    for form in ("JPEG", "WEBP", "BMP", "TIFF", "GIF", "PNG"):
        file = io.BytesIO()
        large.save(file, form)
        status, answer = predict(server, file.getvalue())
        assert (status, answer["class"]) == (200, CLASSES[LABELS[1]]), form


def test_several_images_are_answered_one_by_one(server: RunningServer) -> None:
    files = [("a.png", IMAGE), ("ä.txt", b"no image"), ("c.png", png(IMAGES[1]))]
    answered = server.ask("/predict", **multipart(*files))
    first, second, third = answered.content["predictions"]
    assert answered.status == 200
    assert (first["file"], first["class"]) == ("a.png", CLASSES[LABELS[0]])
    assert second["file"] == "ä.txt"
    assert second["error"].startswith("the image cannot be read: ")
    assert (third["file"], third["class"]) == ("c.png", CLASSES[LABELS[1]])


def test_several_of_which_none_is_an_image(server: RunningServer) -> None:
    answered = server.ask("/predict", **multipart(("a.txt", b"x"), ("b.txt", b"")))
    assert (answered.status, answered.content["error"]) == (400, "no image can be read")
    assert [each["file"] for each in answered.content["predictions"]] == ["a.txt", "b.txt"]


def test_many_clients_at_once_get_their_own_answers(server: RunningServer) -> None:
    """Images of requests that arrive together are predicted together."""

    def ask(place: int) -> str:
        return predict(server, png(IMAGES[place % 30]))[1]["class"]

    with concurrent.futures.ThreadPoolExecutor(16) as clients:
        found = list(clients.map(ask, range(300)))
    assert found == [CLASSES[LABELS[place % 30]] for place in range(300)]


@pytest.mark.parametrize("is_quick", [True, False])
def test_requests_that_wait_together_share_a_run(
    classifier_folder: Path, is_quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the event loop or, where the network is slow, in a thread."""
    classifier = open_classifier(classifier_folder)
    counts = [3, *[1] * 100, 64, 65]
    places = [np.arange(start, start + count) % 30 for start, count in enumerate(counts)]
    sizes: list[int] = []
    monkeypatch.setattr(
        Classifier, "predict",
        lambda self, images: sizes.append(len(images)) or predict_images(self.model, images),
    )  # fmt: skip

    async def ask_all() -> list[np.ndarray]:
        return await asyncio.gather(*(batches.predict(IMAGES[each]) for each in places))

    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        batches = Batches(classifier, threads, is_quick)
        found = asyncio.run(ask_all())
        assert sorted(sizes) == [39, 64, 64, 65]
        expected = predict_images(classifier.model, IMAGES)
        for each, probabilities in zip(places, found, strict=True):
            np.testing.assert_array_equal(probabilities, expected[each])
        with pytest.raises(ValueError, match="must match exactly"):
            asyncio.run(fail_together(batches))
        assert len(asyncio.run(ask_all())) == 103  # and goes on


async def fail_together(batches: Batches) -> None:
    """Two that cannot be one array."""
    wrong = np.zeros((1, 5, 5), np.uint8)
    await asyncio.gather(batches.predict(IMAGES[:1]), batches.predict(wrong))


def test_the_version_is_that_of_the_files(server: RunningServer, classifier_folder: Path) -> None:
    content = server.ask("/version").content
    for name in ("model.onnx", "model.json"):
        done = subprocess.run(
            ["md5sum", classifier_folder / name], capture_output=True, text=True, check=True
        )
        assert content[name] == done.stdout.split()[0]
    assert content["commit"] is None  # the folder is in no clone


def test_the_commit_is_git_s_or_the_export_s(tmp_path: Path) -> None:
    from serving.version import find_commit  # noqa: PLC0415

    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert find_commit(ROOT / "models") == head.stdout.strip()
    (tmp_path / "export.json").write_text('{"commit": "abc"}', encoding="utf-8")
    assert find_commit(tmp_path) == "abc"


def test_the_page_is_at_the_root(server: RunningServer) -> None:
    answered = server.ask("/")
    assert answered.status == 200
    assert answered.headers["content-type"].startswith("text/html")
    assert server.ask("/index.html").content == answered.content


def test_docs_need_no_network(server: RunningServer) -> None:
    page = server.ask("/docs").content.decode()
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(sources) == 3
    for source in sources:
        assert server.ask(source).status == 200, source
    described = server.ask("/openapi.json").content
    paths = {"/predict", "/version", "/metrics", "/v2", "/v2/models/classifier/infer"}
    assert paths <= described["paths"].keys()


def test_metrics_count_requests_errors_classes_and_confidence(
    classifier_folder: Path, tmp_path: Path
) -> None:
    with running_server(tmp_path, classifier_folder) as fresh:
        for image in [*IMAGES[:4], DOUBTFUL]:
            predict(fresh, png(image))
        predict(fresh, b"no image")
        answered = fresh.ask("/metrics")
    assert answered.headers["content-type"].startswith("text/plain; version=0.0.4")
    values = dict(line.rsplit(" ", 1) for line in answered.content.decode().splitlines())
    assert values['classifier_requests_total{endpoint="predict",status="200"}'] == "5.0"
    assert values['classifier_requests_total{endpoint="predict",status="400"}'] == "1.0"
    assert values['classifier_request_seconds_count{endpoint="predict"}'] == "6.0"
    assert values['classifier_predictions_total{class="left"}'] == "3.0"
    assert values['classifier_predictions_total{class="middle"}'] == "1.0"
    assert values["classifier_confidence_count"] == "5.0"
    assert values['classifier_confidence_bucket{le="0.4"}'] == "1.0"
    assert values["classifier_unsure_total"] == "1.0"
    assert values["classifier_requests_in_flight"] == "0.0"


# Limits


@pytest.mark.parametrize(
    ("body", "status", "complaint"),
    [
        (b"", 400, "expected an image file as the body, found nothing"),
        (b"no image", 400, "the image cannot be read: "),
        (IMAGE[:70], 400, "the image cannot be read: "),
        (dimensions_only(9000, 9000), 413, "the image has 9,000 x 9,000 pixels, more than"),
        (dimensions_only(2**31 - 1, 2**31 - 1), 413, "the image has more than 25,000,000 pixels"),
        (dimensions_only(0, 0), 400, "the image cannot be read: "),
        (bytes(8 * 2**20 + 1), 413, "the body is larger than 8,388,608 bytes"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused(
    server: RunningServer, body: bytes, status: int, complaint: str
) -> None:
    found, content = predict(server, body)
    assert found == status
    assert complaint in content["error"]
    assert predict(server)[0] == 200


def test_a_whole_bomb_is_refused_without_its_memory(server: RunningServer) -> None:
    file = io.BytesIO()
    Image.new("L", (30_000, 30_000)).save(file, "PNG")
    before = server.memory()
    assert predict(server, file.getvalue())[0] == 413
    assert server.memory() - before < 50e6


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("multipart/form-data", b"", 415),
        ("multipart/mixed; boundary=x", b"", 415),
        ("multipart/form-data; boundary=x", b"", 400),
        ("multipart/form-data; boundary=x", b"--x--\r\n", 400),
        ("multipart/form-data; boundary=x", b"--x\r\nrubbish", 400),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data\r\n\r\nab",
            400,
        ),
        (f"multipart/form-data; boundary={'x' * 5000}", b"--x--", 400),
    ],
)
def test_a_damaged_form_is_refused(
    server: RunningServer, kind: str, body: bytes, status: int
) -> None:
    answered = server.ask("/predict", body, content_type=kind)
    assert (answered.status, "error" in answered.content) == (status, True)


def test_more_files_than_allowed_are_refused(server: RunningServer) -> None:
    answered = server.ask("/predict", **multipart(*[("a", b"x")] * (Limits.images + 1)))
    assert (answered.status, answered.content["error"]) == (413, "more than 1000 images")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/predict", 405), ("PUT", "/predict", 405), ("DELETE", "/version", 405),
        ("GET", "/v2/models/classifier/infer", 405), ("POST", "/v2/health/live", 405),
        ("GET", "/nothing", 404), ("GET", "/../../etc/passwd", 404),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404), ("GET", "/%00", 404),
    ],
)  # fmt: skip
def test_other_methods_and_paths_are_refused(
    server: RunningServer, method: str, path: str, status: int
) -> None:
    answered = server.ask(path, method=method)
    assert answered.status == status
    assert method == "HEAD" or set(answered.content) == {"error"}


def talk(server: RunningServer, *pieces: bytes, pause: float = 0.0) -> bytes:
    """Send pieces over a socket; all that comes back until the server closes it."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        found = b""
        try:
            while part := connection.recv(65536):
                found += part
        except ConnectionResetError:
            pass
        return found


def test_slow_clients_are_let_go(classifier_folder: Path, tmp_path: Path) -> None:
    """Those that send no request, half a header, or half a body."""
    options = ("--receive-seconds", "0.3", "--idle-seconds", "0.3")
    with running_server(tmp_path, classifier_folder, *options) as strict:
        start = time.monotonic()
        assert talk(strict) == b""
        head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Le"
        for sent in (head, head + b"ngth: 100\r\n\r\nhalf"):
            found = talk(strict, sent)
            assert found.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            assert b'{"error":"the request took longer than 0.3 s"}' in found
        answered = talk(strict, b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answered.endswith(b'{"live":true}')  # and closed when it was idle
        assert time.monotonic() - start < PATIENCE
        assert predict(strict)[0] == 200


def test_a_body_that_drips_after_a_refusal_is_let_go(
    classifier_folder: Path, tmp_path: Path
) -> None:
    options = ("--receive-seconds", "0.3", "--body-bytes", "10")
    with running_server(tmp_path, classifier_folder, *options) as strict:
        head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
        found = talk(strict, head)
        assert found.startswith(b"HTTP/1.1 413 ")


def test_an_answer_that_nobody_takes_is_dropped(classifier_folder: Path, tmp_path: Path) -> None:
    """Twenty requests at once for 1.5 MB each, and the client does not read."""
    with (
        running_server(tmp_path, classifier_folder, "--reply-seconds", "0.5") as strict,
        socket.socket() as client,
    ):
        time.sleep(0.5)  # until the connection that asked whether it is ready has gone
        before = open_files(strict)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", strict.port))
        asked = b"GET /static-offline-docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n"
        client.sendall(asked * 20)
        wait_until(lambda: open_files(strict) > before)
        wait_until(lambda: open_files(strict) <= before)
        assert predict(strict)[0] == 200


def open_files(server: RunningServer) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def test_a_chunked_body_has_the_same_limit(classifier_folder: Path, tmp_path: Path) -> None:
    with running_server(tmp_path, classifier_folder, "--body-bytes", "1000") as strict:
        head = b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        chunk = b"258\r\n" + bytes(600) + b"\r\n"
        found = talk(strict, head + b"Connection: close\r\n\r\n", chunk, chunk, b"0\r\n\r\n")
        assert found.startswith(b"HTTP/1.1 413 ")
        small = b"%x\r\n%b\r\n0\r\n\r\n" % (len(IMAGE), IMAGE)
        found = talk(strict, head + b"Connection: close\r\n\r\n", small)
        assert found.startswith(b"HTTP/1.1 200 ")


def test_what_is_no_http_is_refused(server: RunningServer) -> None:
    for sent in (b"rubbish\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", bytes(100)):
        assert talk(server, sent).startswith(b"HTTP/1.1 400 ")
    long = b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert talk(server, long).startswith(b"HTTP/1.1 4")
    assert predict(server)[0] == 200


def test_too_many_requests_at_once_are_told_to_come_back(
    classifier_folder: Path, tmp_path: Path
) -> None:
    with running_server(tmp_path, classifier_folder, "--requests", "1") as strict:
        with socket.create_connection(("127.0.0.1", strict.port)) as other:
            other.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
            wait_until(lambda: in_flight(strict) == "1.0")
            answered = strict.ask("/predict", IMAGE)
            assert (answered.status, answered.headers["retry-after"]) == (503, "1")
            assert answered.content == {
                "error": "too many requests at once: try again after a second"
            }
        wait_until(lambda: in_flight(strict) == "0.0")
        assert predict(strict)[0] == 200


def test_too_many_connections_are_told_to_come_back(
    classifier_folder: Path, tmp_path: Path
) -> None:
    with running_server(tmp_path, classifier_folder, "--connections", "2") as strict:
        kept = [socket.create_connection(("127.0.0.1", strict.port)) for _ in range(2)]
        for connection in kept:  # both are accepted once they are answered
            connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        found = talk(strict)
        assert found.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"\r\nretry-after: 1\r\n" in found
        for connection in kept:
            connection.close()
        wait_until(lambda: b"503" not in talk(strict, b"GET /v2 HTTP/1.0\r\n\r\n"))


def in_flight(server: RunningServer) -> str:
    text = server.ask("/metrics").content.decode()
    return re.search(r"^classifier_requests_in_flight (.+)$", text, re.MULTILINE)[1]  # type: ignore[index]


def wait_until(is_true) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + PATIENCE
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_failure_of_its_own_is_an_answer_and_in_the_log(
    classifier_folder: Path, tmp_path: Path
) -> None:
    code = (
        "import sys; from serving import __main__, decoding;"
        "decoding.Classifier.read = lambda *_: 1 / 0; __main__.main()"
    )
    command = [sys.executable, "-c", code, "--port", "0", "--classifier", str(classifier_folder)]
    log = tmp_path / "log"
    with (
        log.open("wb") as file,
        subprocess.Popen(command, stdout=file, stderr=file, cwd=ROOT) as process,
    ):
        broken = RunningServer(process, wait_for_port(process, log), log)
        assert predict(broken) == (500, {"error": "the server failed: its log says why"})
        assert "ZeroDivisionError" in log.read_text(encoding="utf-8")
        assert broken.ask("/v2/health/live").status == 200
        process.terminate()


# Its end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_what_is_in_flight_end(
    classifier_folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with running_server(tmp_path, classifier_folder) as running:
        idle = socket.create_connection(("127.0.0.1", running.port))
        with socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE) as client:
            head = f"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: {len(IMAGE)}\r\n\r\n"
            client.sendall(head.encode() + IMAGE[:20])
            wait_until(lambda: in_flight(running) == "1.0")
            running.process.send_signal(number)
            wait_until(lambda: "Shutting down" in running.log.read_text(encoding="utf-8"))
            client.sendall(IMAGE[20:])
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert answer.status == 200
            assert json.loads(answer.read())["class"] == CLASSES[LABELS[0]]
            assert answer.headers["connection"] == "close"
        running.process.wait(PATIENCE)
        idle.close()
        assert "Traceback" not in running.log.read_text(encoding="utf-8")
        assert running.process.returncode == {signal.SIGTERM: -number, signal.SIGINT: 130}[number]


def test_a_request_that_does_not_end_does_not_keep_the_server(
    classifier_folder: Path, tmp_path: Path
) -> None:
    with (
        running_server(tmp_path, classifier_folder, "--stop-seconds", "0.3") as running,
        socket.create_connection(("127.0.0.1", running.port)) as client,
    ):
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        wait_until(lambda: in_flight(running) == "1.0")
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(PATIENCE)


# Its start


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--classifier", "nowhere"], "serving: nowhere/model.json is missing: `dvc repro`"),
        (["--requests", "0"], "--requests: expected more than 0"),
        (["--threshold", "2"], "expected 0 to 1, found 2"),
    ],
)
def test_a_start_that_fails_says_why(options: list[str], complaint: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "serving", *options],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_named(server: RunningServer, classifier_folder: Path) -> None:
    command = [sys.executable, "-m", "serving", "--port", str(server.port)]
    done = subprocess.run(
        [*command, "--classifier", str(classifier_folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "address already in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_threshold_of_one_s_own(classifier_folder: Path, tmp_path: Path) -> None:
    with running_server(tmp_path, classifier_folder, "--threshold", "0.1") as running:
        assert predict(running, png(DOUBTFUL))[1]["unsure"] is False


def test_without_a_threshold_none_is_unsure(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path / "refitted", threshold=None)
    with running_server(tmp_path, folder) as running:
        assert predict(running, png(DOUBTFUL))[1]["unsure"] is False


def test_images_are_as_the_model_says(tmp_path: Path) -> None:
    colour = {"height": 12, "width": 10, "colour": "rgb", "fit": "pad", "background": [9, 9, 9]}
    folder = write_classifier(tmp_path / "colour", channels=3, images=colour)
    with running_server(tmp_path, folder) as running:
        image = png(np.stack([IMAGES[2]] * 3, axis=-1))
        assert predict(running, image)[1]["class"] == CLASSES[LABELS[2]]
