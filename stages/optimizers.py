"""Adam in one pass over memory instead of a dozen: on CPUs a third of a training step."""

import keras
import numpy as np
import tensorflow as tf


class FusedAdam(keras.optimizers.Adam):
    """Keras' Adam, each variable updated by TensorFlow's own kernel (ResourceApplyAdam).

    The same method and, to the bit, the same results as Keras' with these betas: the kernel takes
    them as float32, so they are rounded to it from the start. The optimizer is not saved.
    """

    def __init__(self, learning_rate: float) -> None:
        beta_1, beta_2 = (float(np.float32(beta)) for beta in (0.9, 0.999))
        super().__init__(learning_rate, beta_1=beta_1, beta_2=beta_2)

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
