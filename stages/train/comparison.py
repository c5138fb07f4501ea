"""The ONNX file beside the network that it was written from: do both say the same?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from stages.shared.errors import UserError

Images = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.floating[Any]]

BATCH_IMAGES = 500  # run at once
LARGEST_DIFFERENCE = 1e-5  # of a probability; rounding alone makes up to 2e-6 on MNIST
SAMPLE_IMAGES = 2000


def sample_images(images: Images) -> Images:
    """SAMPLE_IMAGES of the images, evenly spaced; all, if there are no more."""
    count = min(SAMPLE_IMAGES, len(images))
    sample: Images = images[np.linspace(0, len(images) - 1, count).astype(np.intp)]
    return sample


def refuse_difference(
    content: bytes, images: Images, probabilities: Probabilities, threads: int
) -> None:
    """Raise UserError unless the ONNX file gives Keras' probabilities (count, classes) again.

    None may be further away than LARGEST_DIFFERENCE, and no image may change its class, unless
    its two classes are as close to each other.
    """
    try:
        found = run_onnx(content, images, threads)
    except onnxruntime.capi.onnxruntime_pybind11_state.InvalidProtobuf as error:
        raise UserError(f"{HOW_TO_MEND.format(what=error)}") from None
    difference = float(np.abs(found - probabilities).max())
    rows, now = np.arange(len(images)), found.argmax(axis=1)
    behind = probabilities.max(axis=1) - probabilities[rows, now]
    changed = int((behind > LARGEST_DIFFERENCE).sum())
    if difference > LARGEST_DIFFERENCE or changed:
        what = (
            f"its probabilities are up to {difference:.1e} from Keras' on {len(images)} images, "
            f"where {LARGEST_DIFFERENCE:.0e} is expected, and {changed} images change their class"
        )
        raise UserError(HOW_TO_MEND.format(what=what))


def run_onnx(content: bytes, images: Images, threads: int) -> Probabilities:
    """Probabilities (count, classes) by ONNX Runtime.

    Not by stages/shared/onnx_model.py, which guards against files of others: nobody need train
    again for an edit there.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    batches = [
        session.run(None, {session.get_inputs()[0].name: images[start : start + BATCH_IMAGES]})[0]
        for start in range(0, len(images), BATCH_IMAGES)
    ]
    found: Probabilities = np.concatenate(batches)
    return found


HOW_TO_MEND = (
    "the ONNX file is not the network: {what}. If the weights have grown large, rounding differs: "
    "lower train.learning_rate, or train for fewer epochs. Else stages/train/onnx_graph.py is "
    "wrong: please report it"
)
