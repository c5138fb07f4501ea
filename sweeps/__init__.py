"""A search for values: many trials of the training, on one machine or several (docs/scale.md)."""
