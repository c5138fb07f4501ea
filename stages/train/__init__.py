"""train: the chosen network, fitted to the training images, judged by the validation images."""
