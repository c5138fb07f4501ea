"""The two places where training leaves Keras' own path, for TensorFlow's fused kernels.

STAGES_PLAIN=1 turns both off (stages/run/plain.py). Measured on two cores, an epoch of 60,000
images: Adam's kernel saves 1.2 ms of CPU a weight update for 535,000 weights, a third of it; the
kernel of batch normalisation takes a CNN of five convolutions from 23.0 to 18.3 s, in bfloat16
from 17.9 to 10.3 s.
"""

from types import MethodType

import keras
import numpy as np
import tensorflow as tf

# The kernel takes the betas as float32, so they are rounded to it from the start.
BETAS = {"beta_1": float(np.float32(0.9)), "beta_2": float(np.float32(0.999))}


def make_adam(
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule, plain: bool
) -> keras.optimizers.Adam:
    kind = keras.optimizers.Adam if plain else FusedAdam
    return kind(learning_rate, **BETAS)


class FusedAdam(keras.optimizers.Adam):
    """Keras' Adam, each variable updated by TensorFlow's own kernel (ResourceApplyAdam).

    The same method and, to the bit, the same results as Keras' with BETAS. It reads the private
    `_momentums` and `_velocities`, for which Keras has no public name. The optimizer is not saved.
    """

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(self.beta_1, step),
            beta2_power=tf.pow(self.beta_2, step),
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


def fuse_batch_normalization(network: keras.Model) -> None:
    """Let Keras' own layers of batch normalisation compute by TensorFlow's fused kernel.

    One pass over memory instead of a dozen; the same method and, but for rounding, the same
    results. The layers stay Keras' own, so the saved network opens anywhere.
    """
    for layer in network.layers:
        if type(layer) is keras.layers.BatchNormalization:
            layer.call = MethodType(normalize_batch, layer)


def normalize_batch(
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
        variance *= (count - 1) / count  # the kernel's is unbiased, Keras' is not
        for moving, of_batch in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
            moving.assign(moving * layer.momentum + of_batch * (1 - layer.momentum))
    return tf.reshape(outputs, tf.shape(inputs))
