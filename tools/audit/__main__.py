"""python -m tools.audit: which labels are probably wrong, and which images two splits share.

Networks judge images that they have not trained on; where they see another class than the label
says, the label is suspect. The audit writes audit/suspects.html, a page to decide on each, and
audit/suspects.csv; near-duplicates across splits are in audit/near_duplicates.csv. It judges the
labels of train and validation images: those of test images only with --split test, for which
networks train on all others (audit/test_suspects.html). An interrupted audit resumes; the same
inputs train nothing again.

    python -m tools.audit --apply FILE    # put what the page gave into data/NAME/corrections.csv
    python -m tools.audit --accept 20     # the first 20 suggestions, without the page
"""

import argparse
import sys
from pathlib import Path

from stages.run.environment import clean_environment
from stages.run.failures import failures_in_one_line
from stages.run.lock import hold_lock
from stages.run.params import read_sections
from stages.run.stage import TEMPORARY
from tools.audit.results import accept_suspects, apply_file, write_results
from tools.audit.run import read_selection, run_audit
from tools.audit.training import NETWORKS
from tools.shared.command_line import make_parser

MOST_SUSPECTS = 1000
DUPLICATE = 0.99  # correlation of two images' pixels
FOLDS = 3
STANDARD_INPUT = Path("-")


def main() -> None:
    asked = parse_arguments(sys.argv[1:])
    with failures_in_one_line("audit", "the same command again"):
        try:
            clean_environment()
            if asked.apply:
                apply_file(Path("/dev/stdin") if asked.apply == STANDARD_INPUT else asked.apply)
                return
            audit_labels(asked)
        except KeyboardInterrupt:
            sys.exit("audit: interrupted; the same command resumes")


def audit_labels(asked: argparse.Namespace) -> None:
    of_test = asked.split == "test"
    sections = read_sections()
    with hold_lock(TEMPORARY / "audit.lock"):
        selection = read_selection(sections)
        folder = TEMPORARY / "audit" / (asked.split or "others")
        audit = run_audit(
            sections, selection, of_test, asked.network, asked.epochs, asked.folds, folder
        )
        if asked.accept or asked.accept_above is not None:
            accept_suspects(audit, asked.most, asked.accept, asked.accept_above)
        else:
            write_results(audit, asked.most, asked.duplicate)


def parse_arguments(words: list[str]) -> argparse.Namespace:
    parser = make_parser("tools.audit", __doc__)
    parser.add_argument(
        "--split", choices=["test"], help="judge the test images; default: train and validation"
    )
    parser.add_argument(
        "--network",
        choices=NETWORKS,
        help="linear ones on ImageNet's features (default in colour), the audit's own light ones "
        "(default in grey), or that of params.yaml",
    )
    parser.add_argument(
        "--epochs", type=whole, help="of each network; default: 6 or 10, more for few images"
    )
    parser.add_argument(
        "--folds", type=whole, default=FOLDS,
        help=f"parts of the images; networks of each kind for --split test; default: {FOLDS}",
    )  # fmt: skip
    parser.add_argument(
        "--most", type=whole, default=MOST_SUSPECTS, help=f"suspects; default: {MOST_SUSPECTS:,}"
    )
    parser.add_argument(
        "--duplicate", type=share, default=DUPLICATE, metavar="CORRELATION",
        help=f"of near-duplicates, at least; default: {DUPLICATE}",
    )  # fmt: skip
    accept = parser.add_argument_group("instead of the page")
    accept.add_argument("--accept", type=whole, metavar="N", help="correct the first N suspects")
    accept.add_argument(
        "--accept-above", type=share, metavar="P",
        help="correct those whose suggested class has a probability of at least P",
    )  # fmt: skip
    accept.add_argument(
        "--apply", type=Path, metavar="FILE", help="merge the page's corrections; -: standard input"
    )
    asked = parser.parse_args(words)
    if asked.folds < 2:
        parser.error("--folds: expected 2 at least")
    return asked


def whole(word: str) -> int:
    if not (word.isdecimal() and int(word)):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, found {word}")
    return int(word)


def share(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, found {word}")
    return value


if __name__ == "__main__":
    main()
