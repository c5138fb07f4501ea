"""Image files to measure with. In a process of its own, so that who measures stays small.

python -m benchmarks.speed.pictures photos FOLDER COUNT SIDE: JPEG files in two folders.
python -m benchmarks.speed.pictures digit FILE: the first test image, four times as large, as PNG.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images


def main() -> None:
    what, path, *numbers = sys.argv[1:]
    if what == "photos":
        write_photos(Path(path), *map(int, numbers))
    else:
        digit = np.load("data/processed/x_test.npy", mmap_mode="r")[0]
        Image.fromarray(digit).resize((112, 112)).save(path)


def write_photos(folder: Path, count: int, side: int) -> None:
    """Different pieces of scikit-learn's two photographs, side x side pixels, a class each."""
    photographs = load_sample_images()
    for name, pixels in zip(photographs.filenames, photographs.images, strict=True):
        photograph = Image.fromarray(pixels)
        of_class = folder / Path(name).stem
        of_class.mkdir(parents=True)
        width = photograph.width - side
        for number in range(count // 2):
            left, top = number % width, 4 * (number // width)
            piece = photograph.crop((left, top, left + side, top + side))
            piece.save(of_class / f"{number}.jpg", quality=90)


if __name__ == "__main__":
    main()
