"""How many images two revisions have each, by sets of their bytes.

python -m benchmarks.peers.sets_of_images FILE ...: the .npy files of one, then those of the other.
"""

import sys

import numpy as np


def main() -> None:
    paths = sys.argv[1:]
    sides = paths[: len(paths) // 2], paths[len(paths) // 2 :]
    a, b = ({image.tobytes() for path in side for image in np.load(path)} for side in sides)
    print(len(a), len(b), len(a - b), len(b - a))


if __name__ == "__main__":
    main()
