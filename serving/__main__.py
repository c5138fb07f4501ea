"""python -m serving: answer over HTTP what images show, with the model of models/classifier.

POST /predict takes an image file, /v2 is the Open Inference Protocol of KServe and Triton. /docs
describes both, / is a page to draw on, /metrics is for Prometheus; docs/serving.md has examples.
Ctrl-C and SIGTERM end the server after what is in flight is answered.
"""

import argparse
import os
import sys
import tempfile
from dataclasses import fields
from pathlib import Path

from serving.command_line import add_classifier_options
from serving.limits import Limits
from stages.run.failures import failures_in_one_line
from stages.shared.errors import UserError
from tools.shared.command_line import make_parser

HOST, PORT = "127.0.0.1", 8000


def main() -> None:
    asked = parse_arguments(sys.argv[1:])
    # At Ctrl-C uvicorn raises KeyboardInterrupt once all is answered.
    with failures_in_one_line("serving"):
        serve(asked)


def parse_arguments(words: list[str]) -> argparse.Namespace:
    parser = make_parser("serving", __doc__)
    parser.add_argument("--host", default=HOST, help=f"address to listen on (default: {HOST})")
    parser.add_argument("--port", type=int, default=PORT, help=f"0: any (default: {PORT})")
    add_classifier_options(parser)
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count(), metavar="N",
        help="that read large images and run slow networks (default: one a core)",
    )  # fmt: skip
    limits = parser.add_argument_group("limits")
    for each in fields(Limits):
        limits.add_argument(
            option_of(each.name), type=type(each.default), default=each.default, metavar="N",
            help=f"{each.metadata['help']} (default: {each.default:,})",
        )  # fmt: skip
    asked = parser.parse_args(words)
    for name in (*(each.name for each in fields(Limits)), "threads"):
        if getattr(asked, name) <= 0:
            parser.error(f"{option_of(name)}: expected more than 0")
    return asked


def option_of(name: str) -> str:
    return f"--{name.replace('_', '-')}"


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
    limits = Limits(**{each.name: getattr(asked, each.name) for each in fields(Limits)})
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
