"""The table of a network's layers."""

from pathlib import Path

import keras

from stages.shared.atomic_write import atomic_write


def write_summary(network: keras.Model, members: int, path: Path) -> None:
    """Print the table of layers, their output shapes and numbers of weights, and keep it."""
    lines: list[str] = []
    network.summary(line_length=80, print_fn=lines.append)
    if members > 1:
        lines.append(
            f"This is one member; the model is the mean of the probabilities of {members}."
        )
    table = "\n".join(lines)
    print(table)
    with atomic_write(path) as file:
        file.write(f"{table}\n".encode())
