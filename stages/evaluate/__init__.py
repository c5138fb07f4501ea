"""evaluate: the model's scores on the test images."""
