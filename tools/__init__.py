"""Commands for people, run as `python -m tools.NAME`; none is a stage of the pipeline."""
