"""tools.dataset: one's own images, from a folder or file to data/NAME with its dataset.yaml."""
