"""python -m tools.check: are params.yaml and dvc.lock fine? Silent if so, else what is wrong.

DVC deletes a stage's outputs before it starts the stage, even when the stage only refuses its
values. They come back from the run cache, but a check beforehand keeps them in place.
"""

import sys

from stages.run.failures import failures_in_one_line
from stages.shared.errors import UserError
from tools.shared.command_line import make_parser
from tools.shared.git import how_to_restore
from tools.shared.paths import LOCK


def main() -> None:
    make_parser("tools.check", __doc__).parse_args()
    with failures_in_one_line("tools.check"):
        # Imported here: a Python without the locked packages must get as far as the message.
        from stages.run.params import read_sections  # noqa: PLC0415

        try:
            refuse_unreadable_lock()
            read_sections()
        except (UserError, OSError) as error:
            sys.exit(str(error))


def refuse_unreadable_lock() -> None:
    """Raise UserError with the remedy, which DVC's own error lacks. An empty dvc.lock heals."""
    from stages.run.yaml_files import read_yaml  # noqa: PLC0415

    if LOCK.exists():
        try:
            read_yaml(LOCK)
        except UserError as error:
            raise UserError(f"{error}. {how_to_restore(str(LOCK))}") from None


if __name__ == "__main__":
    main()
