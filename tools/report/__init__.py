"""python -m tools.report: what a change does, or a model card, as Markdown."""
