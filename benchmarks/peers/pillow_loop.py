"""Reads every image of data/NAME/images as one would with Pillow alone, in one process.

python -m benchmarks.peers.pillow_loop: decode, to RGB, the shorter side to 64 pixels, the middle.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

SIDE = 64  # pixels


def main() -> None:
    paths = sorted(Path("data/photos/images").rglob("*.jpg"))
    images = np.empty((len(paths), SIDE, SIDE, 3), np.uint8)
    for number, path in enumerate(paths):
        with Image.open(path) as image:
            images[number] = ImageOps.fit(image.convert("RGB"), (SIDE, SIDE), Image.Resampling.BOX)
    print(images.shape, images.mean())


if __name__ == "__main__":
    main()
