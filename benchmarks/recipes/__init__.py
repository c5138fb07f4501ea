"""The recipes, measured with several seeds: python -m benchmarks.recipes."""
