"""Predicted probabilities and true labels for the tests of scores."""

import numpy as np

CLASSES = ["red", "green", "blue"]
LABELS = np.array([0, 0, 1, 2, 2], np.uint8)

# The most probable classes are 0, 1, 1, 2, 0: three of the five are right.
PROBABILITIES = np.array(
    [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.5, 0.3, 0.2]],
    np.float32,
)
PERFECT = np.eye(3, dtype=np.float32)[LABELS]
SURELY_WRONG = np.roll(PERFECT, 1, axis=1)
UNIFORM = np.full((5, 3), 1 / 3, np.float32)


def random_predictions(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (200, 4), float32, half of them better than chance, and their labels."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, 200).astype(np.uint8)
    probabilities = random.dirichlet([0.5] * 4, 200).astype(np.float32)
    probabilities[:100] = 0.7 * probabilities[:100] + 0.3 * np.eye(4)[labels[:100]]
    return probabilities, labels
