"""python -m serving: answer over HTTP what images show, with the model of models/classifier.

POST /predict takes an image file, /v2 is the Open Inference Protocol of KServe and Triton. /docs
describes both, / is a page to draw on, /metrics is for Prometheus; docs/serving.md has examples.
Ctrl-C and SIGTERM end the server after what is in flight is answered.
"""

import argparse
import os
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from serving.limits import Limits
from stages.run.failures import failures_in_one_line
from stages.shared.errors import UserError
from tools.shared.command_line import make_parser

FOLDER = Path("models/classifier")
HOST, PORT = "127.0.0.1", 8000
HELP = {
    "body-bytes": "of a request",
    "pixels": "of an image file",
    "images": "in a request",
    "requests": "answered at once; more get 503",
    "connections": "open at once; more get 503",
    "receive-seconds": "for a request to arrive",
    "reply-seconds": "for an answer to be made and taken",
    "idle-seconds": "that a connection stays open without a request",
    "stop-seconds": "for what is in flight when the server is told to end",
}


def main() -> None:
    asked = parse_arguments(sys.argv[1:])
    # uvicorn raises KeyboardInterrupt again once all is answered.
    with failures_in_one_line("serving"), suppress(KeyboardInterrupt):
        serve(asked)


def parse_arguments(words: list[str]) -> argparse.Namespace:
    parser = make_parser("serving", __doc__)
    parser.add_argument("--host", default=HOST, help=f"address to listen on (default: {HOST})")
    parser.add_argument("--port", type=int, default=PORT, help=f"0: any (default: {PORT})")
    parser.add_argument(
        "--classifier", type=Path, default=FOLDER, metavar="FOLDER",
        help=f"folder with model.onnx and model.json (default: {FOLDER})",
    )  # fmt: skip
    parser.add_argument(
        "--threshold", type=probability, metavar="P",
        help="lowest probability of an answer that is not unsure (default: model.json's)",
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count(), metavar="N",
        help="that read large images and run slow networks (default: one a core)",
    )  # fmt: skip
    limits = parser.add_argument_group("limits")
    for name, default in asdict(Limits()).items():
        option = name.replace("_", "-")
        limits.add_argument(
            f"--{option}", type=type(default), default=default, metavar="N",
            help=f"{HELP[option]} (default: {default:,})",
        )  # fmt: skip
    asked = parser.parse_args(words)
    for name in (*asdict(Limits()), "threads"):
        if getattr(asked, name) <= 0:
            parser.error(f"--{name.replace('_', '-')}: expected more than 0")
    return asked


def probability(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected 0 to 1, found {text}")
    return value


def serve(asked: argparse.Namespace) -> None:
    """Listen until a signal ends it. Raises UserError if the classifier or the port fails."""
    # Imported here: --help and a Python without the packages need none of it.
    import uvicorn  # noqa: PLC0415

    from serving.application import Application  # noqa: PLC0415
    from serving.classifier import open_classifier  # noqa: PLC0415
    from serving.connections import limited_protocol  # noqa: PLC0415
    from serving.service import Service  # noqa: PLC0415
    from serving.version import describe_version  # noqa: PLC0415
    from stages.shared.image_reading import refuse_bombs  # noqa: PLC0415

    refuse_bombs()
    classifier = open_classifier(asked.classifier)
    threshold = classifier.threshold if asked.threshold is None else asked.threshold
    limits = Limits(**{name: getattr(asked, name) for name in asdict(Limits())})
    with tempfile.TemporaryDirectory(prefix="page-") as folder:
        service = Service(classifier, limits, threshold, asked.threads)
        page = write_page_files(Path(folder), asked.classifier)
        application = Application(service, describe_version(asked.classifier), page)
        config = uvicorn.Config(
            application, host=asked.host, port=asked.port, http=limited_protocol(limits),
            ws="none", loop="asyncio", lifespan="off", access_log=False, server_header=False,
            proxy_headers=False,
            timeout_keep_alive=limits.idle_seconds,  # type: ignore[arg-type]  # fractions work
            timeout_graceful_shutdown=limits.stop_seconds,  # type: ignore[arg-type]
        )  # fmt: skip
        uvicorn.Server(config).run()


def write_page_files(folder: Path, classifier_folder: Path) -> Path | str:
    """The folder of the page, or why there is none: the API works without."""
    from serving.browser_runtime import write_page  # noqa: PLC0415

    try:
        write_page(folder, classifier_folder)
    except UserError as error:
        print(f"serving: no page at /: {error}", file=sys.stderr)
        return str(error)
    return folder


if __name__ == "__main__":
    main()
