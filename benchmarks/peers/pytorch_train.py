"""The training in PyTorch on the CPU: a peer that the train stage is measured against.

python -m benchmarks.peers.pytorch_train [--compile] [--channels-last]: reads params.yaml and
data/processed. The same network, batches, epochs, precision and Adam, the same scores an epoch.
It is written as its users write a fast loop: the images stay one uint8 tensor, a batch is a
gather of shuffled rows that is scaled, Adam is the fused one, and no step waits for a score.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from ruamel.yaml import YAML
from torch import nn

from benchmarks.peers.pytorch_networks import build, count_parameters


def main() -> None:
    arguments = parse_arguments()
    params = YAML(typ="safe").load(Path("params.yaml"))
    train, name = params["train"], params["model"]["name"]
    epochs, batch_size = train["epochs"], train["batch_size"]
    images, labels = read("train")
    validation_images, validation_labels = read("validation")
    torch.manual_seed(params["seed"])
    torch.set_flush_denormal(True)  # as TensorFlow does
    classes = 1 + int(labels.max())
    shape = (images.shape[2], images.shape[3])
    network = build(name, shape, classes, params["model"][name])
    print(f"parameters {count_parameters(network)}", flush=True)
    if arguments.channels_last:
        network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=train["learning_rate"], fused=True)
    criterion = nn.CrossEntropyLoss(label_smoothing=train.get("label_smoothing", 0.0))
    half = train.get("precision", "float32") == "mixed_bfloat16"

    def scores(batch: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean loss of a batch, and how many of it are right."""
        pixels = batch.to(torch.float32).mul_(1 / 255)
        if arguments.channels_last:
            pixels = pixels.to(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            logits = network(pixels).float()
        return criterion(logits, truth), (logits.argmax(1) == truth).sum()

    if arguments.compile:  # scaling, loss and score with the network: more to fuse
        scores = torch.compile(scores, dynamic=False, mode="max-autotune-no-cudagraphs")

    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        total_loss, right = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        network.train()
        for rows in torch.randperm(len(images)).split(batch_size):
            loss, hits = scores(images.index_select(0, rows), labels.index_select(0, rows))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total_loss += loss.detach() * len(rows)
            right += hits
        network.eval()
        validation_loss, validation_right = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        with torch.inference_mode():
            for batch, truth in zip(
                validation_images.split(1000), validation_labels.split(1000), strict=True
            ):
                loss, hits = scores(batch, truth)
                validation_loss += loss * len(truth)
                validation_right += hits
        print(
            f"epoch {epoch}/{epochs}  accuracy {right / len(images):.4f}  "
            f"loss {total_loss / len(images):.4f}  "
            f"validation_accuracy {validation_right / len(validation_images):.4f}  "
            f"validation_loss {validation_loss / len(validation_images):.4f}  "
            f"{time.perf_counter() - start:.2f} s",
            flush=True,
        )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.pytorch_train")
    parser.add_argument("--compile", action="store_true", help="torch.compile the step")
    parser.add_argument("--channels-last", action="store_true", help="images as NHWC in memory")
    return parser.parse_args()


def read(split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images uint8 (count, 1, height, width) and labels int64 (count,)."""
    images, labels = (np.load(f"data/processed/{name}_{split}.npy") for name in "xy")
    return torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels.astype(np.int64))


if __name__ == "__main__":
    main()
