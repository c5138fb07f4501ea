"""What the commands have in common: their --help is the module's docstring, errors are a line."""

import argparse


def make_parser(module: str, text: str | None) -> argparse.ArgumentParser:
    """A parser of the arguments of `python -m MODULE`, whose docstring `text` is its help."""
    return argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
