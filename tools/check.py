"""python -m tools.check: is params.yaml fine? It says nothing if so, else what is wrong.

DVC deletes a stage's outputs before it starts the stage, even when the stage only refuses its
values. They come back from the run cache, but a check beforehand keeps them in place.
"""

import sys

from stages.run.failures import failures_in_one_line
from stages.shared.errors import UserError
from tools.shared.command_line import make_parser


def main() -> None:
    make_parser("tools.check", __doc__).parse_args()
    with failures_in_one_line("tools.check"):
        # Imported here: a Python without the locked packages must get as far as the message.
        from stages.run.params import read_sections  # noqa: PLC0415

        try:
            read_sections()
        except (UserError, OSError) as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
