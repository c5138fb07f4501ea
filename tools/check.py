"""python -m tools.check: is params.yaml fine? It says nothing if so, else what is wrong.

DVC deletes a stage's outputs before it starts the stage, even when the stage only refuses its
values. They come back from the run cache, but a check beforehand keeps them in place.
"""

import sys

from stages.run.params import read_sections
from stages.shared.errors import UserError
from tools.shared.command_line import make_parser


def main() -> None:
    make_parser("tools.check", __doc__).parse_args()
    try:
        read_sections()
    except (UserError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
