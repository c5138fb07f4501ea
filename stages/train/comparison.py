"""The ONNX file beside the network that it was written from: do both say the same?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import onnxruntime

from stages.shared.errors import UserError
from stages.train.onnx_session import open_session, run_batches
from stages.train.prediction import images_per_batch, predict
from stages.train.saving import save_model

Images = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.floating[Any]]

SAMPLE_IMAGES = 2000
SAMPLE_BATCHES = 4  # of a network so large that this is less

# Both compute in float32 and sum in different orders. A probability's relative error is the
# absolute one of its logit, so the bound is relative, as exporters' own tests have it; below
# ABSOLUTE a probability decides nothing.
RELATIVE, ABSOLUTE = 1e-3, 1e-5


def refuse_difference(content: bytes, network: keras.Model, images: Images, scratch: Path) -> None:
    """Raise UserError unless the ONNX file and Keras say the same of a sample of the images.

    Then model.keras is kept in `scratch`, so that a long training is not lost.
    """
    batch = images_per_batch(network)
    sample = choose_sample(images, min(SAMPLE_IMAGES, SAMPLE_BATCHES * batch))
    try:
        found = run_batches(open_session(content, threads=1), sample, batch)
        problem = describe_difference(found, predict(network, sample))
    except onnxruntime.capi.onnxruntime_pybind11_state.InvalidProtobuf as error:
        problem = str(error)
    if problem:
        kept = scratch / "model.keras"
        save_model(network, kept)
        raise UserError(HOW_TO_MEND.format(what=problem, kept=kept))


def choose_sample(images: Images, count: int) -> Images:
    """So many of the images, evenly spaced; all, if there are no more."""
    places = np.linspace(0, len(images) - 1, min(count, len(images))).astype(np.intp)
    sample: Images = images[places]
    return sample


def describe_difference(found: Probabilities, expected: Probabilities) -> str:
    """How probabilities (count, classes) differ by more than rounding; "" if they do not."""
    difference = np.abs(found - expected)
    bound = ABSOLUTE + RELATIVE * expected
    wrong = int((difference > bound).any(axis=1).sum())
    if not wrong:
        return ""
    changed = int((found.argmax(axis=1) != expected.argmax(axis=1)).sum())
    return (
        f"of {len(expected)} images, {wrong} have probabilities further from Keras' than "
        f"{ABSOLUTE:.0e} and {RELATIVE:.1%} of them, by up to {difference.max():.1e}, and "
        f"{changed} change their class"
    )


HOW_TO_MEND = (
    "the ONNX file is not the network: {what}. If the weights have grown large, rounding differs: "
    "lower train.learning_rate, or train for fewer epochs. Else stages/train/onnx_graph.py is "
    "wrong: please report it. The trained network is kept as {kept}"
)
