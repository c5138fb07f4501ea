"""What the commands' --help have in common: the module's docstring, as it is written."""

import argparse


def parser(module: str, text: str | None) -> argparse.ArgumentParser:
    """A parser of the arguments of `python -m MODULE`, whose docstring `text` is its help."""
    return argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
