"""What the article does, as one plain Keras script: the peer that the pipeline is measured against.

python -m benchmarks.peers.article_script [EPOCHS]: load, look, normalise, flatten, one-hot, fit,
evaluate, and draw the six figures. It reads data/raw, which `dvc repro fetch` brings.
"""

import sys
import tempfile
from pathlib import Path

import keras
import matplotlib as mpl
import numpy as np
import seaborn as sns

mpl.use("Agg")
import matplotlib.pyplot as plt  # after the choice of its backend


def read(name: str, header: int) -> np.ndarray:
    return np.frombuffer(Path(f"data/raw/{name}.idx").read_bytes(), np.uint8, offset=header)


def image_grid(images, titles, rows, columns, path, heading=""):
    plt.figure(figsize=(10, 5))
    plt.suptitle(heading)
    for i in range(rows * columns):
        plt.subplot(rows, columns, i + 1)
        plt.imshow(images[i], cmap="gray")
        plt.title(titles[i])
        plt.axis("off")
    plt.tight_layout()
    plt.savefig(path, dpi=300)
    plt.close()


def main() -> None:
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    figures = Path(tempfile.mkdtemp())
    images, labels = read("train_images", 16).reshape(-1, 28, 28), read("train_labels", 8)
    test_images, test_labels = read("test_images", 16).reshape(-1, 28, 28), read("test_labels", 8)
    print(images.shape, labels.shape, test_images.shape, test_labels.shape)
    image_grid(images, [f"Label: {label}" for label in labels[:15]], 3, 5, figures / "samples.png")

    plt.figure(figsize=(8, 5))
    sns.histplot(labels, bins=10, discrete=True)
    plt.title("Class Distribution")
    plt.xlabel("Digit Class")
    plt.ylabel("Count")
    plt.savefig(figures / "distribution.png", dpi=300)
    plt.close()

    x_train = images.reshape(-1, 784).astype("float32") / 255
    x_test = test_images.reshape(-1, 784).astype("float32") / 255
    y_train, y_test = (keras.utils.to_categorical(y, 10) for y in (labels, test_labels))
    model = keras.Sequential(
        [
            keras.Input((784,)),
            keras.layers.Dense(512, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.summary()
    model.compile(
        optimizer=keras.optimizers.Adam(0.001),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    history = model.fit(
        x_train, y_train, batch_size=128, epochs=epochs, validation_split=0.2, verbose=2
    ).history
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"Test accuracy {accuracy:.4f}, test loss {loss:.4f}")

    figure, panels = plt.subplots(1, 2, figsize=(12, 5))
    for axes, score in zip(panels, ("accuracy", "loss"), strict=True):
        axes.plot(history[score], label=f"Train {score.capitalize()}")
        axes.plot(history[f"val_{score}"], label=f"Validation {score.capitalize()}")
        axes.set(title=f"{score.capitalize()} Curve", xlabel="Epoch", ylabel=score.capitalize())
        axes.legend()
    figure.savefig(figures / "curves.png", dpi=300)
    plt.close()

    predicted = model.predict(x_test, verbose=0).argmax(axis=1)
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (test_labels, predicted), 1)
    plt.figure(figsize=(10, 8))
    sns.heatmap(counts, annot=True, fmt="d", cmap="Blues")
    plt.title("Confusion Matrix")
    plt.xlabel("Predicted")
    plt.ylabel("True")
    plt.savefig(figures / "confusion.png", dpi=300)
    plt.close()
    for heading, chosen in [
        ("Correct Predictions", predicted == test_labels),
        ("Wrong Predictions", predicted != test_labels),
    ]:
        first = np.flatnonzero(chosen)[:9]
        titles = [f"True: {test_labels[i]}, Pred: {predicted[i]}" for i in first]
        image_grid(test_images[first], titles, 3, 3, figures / f"{heading}.png", heading)
    print(f"Figures in {figures}")


if __name__ == "__main__":
    main()
