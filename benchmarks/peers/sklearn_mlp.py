"""The fully connected network in scikit-learn: a peer that the training is measured against.

python -m benchmarks.peers.sklearn_mlp: reads params.yaml and data/processed. The same layers,
batches, epochs and Adam. It differs in what MLPClassifier does not have: no dropout, no validation
(so it does less an epoch than the others), and pixels scaled to float32 once, as its users do.
"""

from pathlib import Path

import numpy as np
from ruamel.yaml import YAML
from sklearn.neural_network import MLPClassifier


def main() -> None:
    params = YAML(typ="safe").load(Path("params.yaml"))
    train = params["train"]
    images, labels = (np.load(f"data/processed/{name}_train.npy") for name in "xy")
    pixels = images.reshape(len(images), -1).astype(np.float32) / 255
    network = MLPClassifier(
        hidden_layer_sizes=params["model"]["mlp"]["units"],
        alpha=0,  # no penalty on the weights, as in the article
        batch_size=train["batch_size"],
        learning_rate_init=train["learning_rate"],
        random_state=params["seed"],
    )
    for epoch in range(1, train["epochs"] + 1):
        network.partial_fit(pixels, labels, classes=np.unique(labels))  # once over all the images
        print(f"epoch {epoch}/{train['epochs']}  loss {network.loss_:.4f}", flush=True)


if __name__ == "__main__":
    main()
