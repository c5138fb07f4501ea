"""python -m benchmarks.serving.endurance: does the server stand minutes of load and bad requests?

First `--minutes` at 80 % of the highest rate: each answer has status 200. Then `--bad` requests
that are damaged in every way that came to mind: each answer is 200 or a stated error, from 400 to
415 or 503. Prints what came back, and the server's memory before, meanwhile and after.
"""

import argparse
import gzip
import http.client
import json
import math
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.serving.__main__ import CONNECTIONS, resident, run_wrk, running, write_request
from serving.classifier import open_classifier
from serving.command_line import FOLDER
from serving.protocol import INPUT, INPUT_TYPE, OUTPUT
from tools.shared.command_line import make_parser

PORT = 8420
LOAD_SHARE = 0.8  # of the highest rate
ANSWER_MILLISECONDS = 3  # that an answer takes at this load, about: wrk waits after it
STATED = {200, 307, 400, 404, 405, 408, 413, 415, 503}
INFER = "/v2/models/classifier/infer"
ODD = [None, True, -1, 1.5, "x", [], {}, [[]], 1e308, float("nan"), "\ud800", 2**70, [1] * 50]

Request = tuple[str, str, bytes | None, dict[str, str]]  # method, path, body, headers


def main() -> None:
    asked = parse_arguments()
    command = [sys.executable, "-m", "serving", "--port", str(PORT)]
    command += ["--classifier", str(asked.classifier.resolve())]
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        script = write_request(folder, asked.classifier)
        with running(command, PORT, asked.classifier, folder / "log") as process:

            def say(what: str) -> None:
                print(f"{what}; memory {resident(process.pid) / 1e6:.1f} MB", flush=True)

            highest, _ = run_wrk(script, PORT, 10)
            say(f"highest rate {highest:,.0f} a second")
            slow_down(script, highest)
            for minute in range(1, asked.minutes + 1):
                rate, p99 = run_wrk(script, PORT, 60)  # ends the program at an error
                say(f"minute {minute}: {rate:,.0f} a second, p99 {p99:.1f} ms")
            damage = Damage(asked.classifier, (folder / "image.png").read_bytes(), asked.seed)
            found = send_all(damage.make_request, asked.bad, say)
            if unstated := found.keys() - STATED - {"closed"}:
                sys.exit(f"expected the stated errors, found {unstated}")


def parse_arguments() -> argparse.Namespace:
    parser = make_parser("benchmarks.serving.endurance", __doc__)
    parser.add_argument("--minutes", type=int, default=10, help="of load (default: 10)")
    parser.add_argument("--bad", type=int, default=50_000, help="requests (default: 50,000)")
    parser.add_argument("--seed", type=int, default=0, help="of the damage (default: 0)")
    parser.add_argument(
        "--classifier", type=Path, default=FOLDER, metavar="FOLDER",
        help=f"folder with model.onnx and model.json (default: {FOLDER})",
    )  # fmt: skip
    return parser.parse_args()


def slow_down(script: Path, highest: float) -> None:
    """Let wrk wait after each answer, for that share of the rate."""
    pause = 1000 * CONNECTIONS / (LOAD_SHARE * highest) - ANSWER_MILLISECONDS
    text = script.read_text(encoding="utf-8")
    pausing = f"{text}function delay() return {max(0, round(pause))} end\n"
    script.write_text(pausing, encoding="utf-8")


class Damage:
    """Makes requests with something wrong, the same ones from the same seed."""

    def __init__(self, classifier: Path, image: bytes, seed: int) -> None:
        self.random, self.image = random.Random(seed), image  # noqa: S311  # no secret
        shape = [1, *open_classifier(classifier).shape]
        self.tensor = bytes(math.prod(shape))
        described = {"name": INPUT, "shape": shape, "datatype": INPUT_TYPE}
        wanted = {"name": OUTPUT, "parameters": {"binary_data": True}}
        self.whole: dict[str, Any] = {
            "id": "a",
            "inputs": [described | {"data": [0] * len(self.tensor)}],
            "outputs": [wanted],
        }
        binary = described | {"parameters": {"binary_data_size": len(self.tensor)}}
        self.head = json.dumps({"inputs": [binary]}).encode()

    def make_request(self) -> Request:
        ways = [self.bad_image, self.bad_form, self.bad_text, self.bad_values, self.bad_bytes,
                self.bad_path, self.bad_encoding]  # fmt: skip
        (way,) = self.random.choices(ways, weights=[25, 10, 25, 20, 10, 5, 5])
        return way()

    def bad_image(self) -> Request:
        return "POST", "/predict", self.cut(self.image), {"content-type": "image/png"}

    def bad_form(self) -> Request:
        part = b'--x\r\nContent-Disposition: form-data; name="a"; filename="a.png"\r\n\r\n'
        body = self.cut(part + self.image + b"\r\n--x--\r\n")
        return "POST", "/predict", body, {"content-type": "multipart/form-data; boundary=x"}

    def bad_text(self) -> Request:
        return "POST", INFER, self.cut(json.dumps(self.whole).encode()), {}

    def bad_values(self) -> Request:
        text = json.dumps(self.change(self.whole))
        return "POST", INFER, text.encode("utf-8", "surrogatepass"), {}

    def bad_bytes(self) -> Request:
        length = self.random.choice([len(self.head), self.random.randrange(2000), -1])
        body = self.cut(self.head) + self.cut(self.tensor)
        return "POST", INFER, body, {"Inference-Header-Content-Length": str(length)}

    def bad_path(self) -> Request:
        method = self.random.choice(["GET", "PUT", "DELETE", "PATCH", "POST"])
        path = "".join(self.random.choices("abv2/.%0", k=self.random.randrange(30)))
        return method, f"/{path}", None, {}

    def bad_encoding(self) -> Request:
        encoding = self.random.choice(["gzip", "deflate", "br"])
        return (
            "POST",
            "/predict",
            self.cut(gzip.compress(self.image)),
            {"content-encoding": encoding},
        )

    def cut(self, content: bytes) -> bytes:
        """Bytes changed, lost, added, or the end missing; a few times."""
        found = bytearray(content)
        for _ in range(self.random.choice([1, 1, 2, 5, 20])):
            place = self.random.randrange(len(found) + 1)
            some = self.random.randbytes(self.random.randrange(1, 40))
            match self.random.randrange(4):
                case 0:
                    found[place : place + 1] = some[:1]
                case 1:
                    del found[place : place + len(some)]
                case 2:
                    found[place:place] = some
                case _:
                    del found[place:]
        return bytes(found)

    def change(self, value: Any) -> Any:
        """JSON with values of other kinds and keys that are missing."""
        if self.random.random() < 0.15:
            return self.random.choice(ODD)
        if isinstance(value, dict):
            return {k: self.change(v) for k, v in value.items() if self.random.random() > 0.05}
        if isinstance(value, list) and len(value) < 10:
            return [self.change(each) for each in value]
        return value


def send_all(
    make_request: Callable[[], Request], count: int, say: Callable[[str], None]
) -> "Counter[int | str]":
    """How many answers had each status; `closed` where the server closed the connection."""
    found: Counter[int | str] = Counter()
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    for number in range(1, count + 1):
        try:
            connection.request(*make_request())
            answer = connection.getresponse()
            answer.read()
            found[answer.status] += 1
        except (ConnectionError, http.client.HTTPException):
            found["closed"] += 1
            connection.close()
        if number % 10_000 == 0 or number == count:
            say(f"{number:,} bad requests: {dict(found)}")
    connection.close()
    return found


if __name__ == "__main__":
    main()
