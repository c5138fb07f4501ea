"""Wrong labels found with cleanlab and scikit-learn: a peer that `tools.audit` is measured against.

python -m benchmarks.peers.cleanlab_audit: reads params.yaml and data/processed, flips labels as
`python -m benchmarks.audit` does, and prints how many are found. It is what cleanlab's users write:
each image's probabilities come from a classifier that was trained on the other folds.
"""

from pathlib import Path

import numpy as np
from cleanlab.filter import find_label_issues
from ruamel.yaml import YAML
from sklearn.model_selection import cross_val_predict
from sklearn.neural_network import MLPClassifier

from benchmarks.flips import flip_labels, recall_of_flips, say_recall

SEED = 0
FOLDS = 5
LEARNT_FROM = ("train", "validation")


def main() -> None:
    params = YAML(typ="safe").load(Path("params.yaml"))
    images, labels = (
        np.concatenate([np.load(f"data/processed/{name}_{part}.npy") for part in LEARNT_FROM])
        for name in "xy"
    )
    labels, flipped = flip_labels(labels, np.arange(len(labels)), len(np.unique(labels)), SEED)
    pixels = images.reshape(len(images), -1).astype(np.float32) / 255
    network = MLPClassifier(
        hidden_layer_sizes=params["model"]["mlp"]["units"],
        batch_size=params["train"]["batch_size"],
        learning_rate_init=params["train"]["learning_rate"],
        max_iter=params["train"]["epochs"],
        random_state=params["seed"],
    )
    probabilities = cross_val_predict(network, pixels, labels, cv=FOLDS, method="predict_proba")
    ranked = find_label_issues(labels, probabilities, return_indices_ranked_by="self_confidence")
    print(f"cleanlab: {say_recall(recall_of_flips(ranked, flipped))}")


if __name__ == "__main__":
    main()
