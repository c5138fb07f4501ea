"""What a measuring command needs that the pipeline does not."""

import importlib.util
import sys


def need(package: str, command: str) -> None:
    """End the program, before it has measured anything, if a package is missing."""
    if importlib.util.find_spec(package) is None:
        sys.exit(f"the package '{package}' is missing: `{command}` installs it")
