"""What Keras and TensorFlow read from the environment when they are imported."""

import os


def set_environment() -> None:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["KERAS_HOME"] = os.devnull  # nothing is read from the user's keras.json, or written
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # a machine without GPU is no error
