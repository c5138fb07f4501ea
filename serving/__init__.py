"""The trained classifier in use: an HTTP server and a page to draw on. Needs no TensorFlow."""

from stages.run.search_path import search_project_last

search_project_last()  # here, since `python -m` imports this first: no random.py shadows Python's
