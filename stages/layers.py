"""How layers compute while they train: the fused batch normalisation, and the precision."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MethodType

import keras
import tensorflow as tf

CPU = Path("/proc/cpuinfo")  # Linux alone has it
BFLOAT16 = r"\b(amx_bf16|avx512_bf16|bf16)\b"  # x86 and ARM


def fuse_batch_normalization(network: keras.Model) -> None:
    """Let Keras' own layers of batch normalisation compute by TensorFlow's fused kernel.

    One pass over memory instead of a dozen; the same method and, but for rounding, the same
    results. The layers stay Keras' own, so the network is saved as one that opens anywhere.
    """
    for layer in network.layers:
        if type(layer) is keras.layers.BatchNormalization:
            layer.call = MethodType(fused_call, layer)


def fused_call(
    layer: keras.layers.BatchNormalization,
    inputs: tf.Tensor,
    training: bool | None = None,
    **_mask: object,  # Keras passes one to every layer; images have none
) -> tf.Tensor:
    """Normalise (batch, channels) or (batch, height, width, channels) over all but the last."""
    channels = inputs.shape[-1]
    as_image = inputs if len(inputs.shape) == 4 else tf.reshape(inputs, (-1, 1, 1, channels))
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=as_image,
        scale=layer.gamma.value,
        offset=layer.beta.value,
        mean=[] if training else layer.moving_mean.value,
        variance=[] if training else layer.moving_variance.value,
        epsilon=layer.epsilon,
        is_training=bool(training),
    )
    if training:
        count = tf.cast(tf.size(as_image) // channels, tf.float32)
        variance *= (count - 1) / count  # the kernel's is the unbiased one, Keras' is not
        for moving, of_batch in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
            moving.assign(moving * layer.momentum + of_batch * (1 - layer.momentum))
    return tf.reshape(outputs, tf.shape(inputs))


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Layers that are made within compute in that precision; their weights are float32 always."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def warn_of_slow_arithmetic(precision: str) -> None:
    """Tell who has chosen bfloat16 if this CPU computes it slowly, or may."""
    if precision != "mixed_bfloat16" or (CPU.exists() and re.search(BFLOAT16, CPU.read_text())):
        return
    found = "has no" if CPU.exists() else "may have no (this system does not tell)"
    print(
        f"train.precision: this CPU {found} arithmetic for bfloat16: a training may take several "
        "times as long as with float32"
    )
