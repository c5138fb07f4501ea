"""What an image shows, by model.keras: python -m benchmarks.peers.keras_predict FILE."""

import sys

import keras
import numpy as np
from PIL import Image


def main() -> None:
    model = keras.saving.load_model("models/model.keras")
    with Image.open(sys.argv[1]) as image:
        pixels = np.asarray(image.convert("L").resize((28, 28)))
    probabilities = model.predict(pixels[None], verbose=0)[0]
    print(probabilities.argmax(), probabilities.max())


if __name__ == "__main__":
    main()
