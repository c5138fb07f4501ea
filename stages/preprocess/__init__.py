"""preprocess: the raw files as six .npy arrays, the validation images split off."""
