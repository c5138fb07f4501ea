"""What `python -m serving` and tools.predict both ask for. It imports no library."""

import argparse
from pathlib import Path

FOLDER = Path("models/classifier")


def add_classifier_options(parser: argparse.ArgumentParser, folder: Path = FOLDER) -> None:
    """The options --classifier, `folder` by default, and --threshold."""
    parser.add_argument(
        "--classifier", type=Path, default=folder, metavar="FOLDER",
        help=f"folder with model.onnx and model.json (default: {folder})",
    )  # fmt: skip
    parser.add_argument(
        "--threshold", type=probability, metavar="P",
        help="lowest probability of an answer that is not unsure (default: model.json's)",
    )  # fmt: skip


def probability(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected 0 to 1, found {text}")
    return value
