"""python -m tools.check: is params.yaml fine? It says nothing if so, else what is wrong.

DVC deletes a stage's outputs before it starts the stage, also when the stage only refuses its
params; they come back from the run cache, but a check beforehand keeps them in place.
"""

import sys

from stages import StageError
from stages.params import read_sections
from tools import command_line


def main() -> None:
    command_line.parser("tools.check", __doc__).parse_args()
    try:
        read_sections()
    except (StageError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
