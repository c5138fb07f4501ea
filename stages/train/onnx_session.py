"""ONNX Runtime on a network that train has just written.

Not stages/shared/onnx_model.py, which guards against files of others: nobody need train again for
an edit there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

Bytes = npt.NDArray[np.uint8]
Float32s = npt.NDArray[np.float32]


def open_session(content: bytes, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run_batch(session: Any, images: Bytes) -> Float32s:
    """What the network's one output gives (count, ...) of uint8 images (count, ...)."""
    found: Float32s = session.run(None, {session.get_inputs()[0].name: images})[0]
    return found


def run_batches(session: Any, images: Bytes, batch: int) -> Float32s:
    """The same of many images, `batch` at once."""
    return np.concatenate(
        [
            run_batch(session, np.ascontiguousarray(images[start : start + batch]))
            for start in range(0, len(images), batch)
        ]
    )
