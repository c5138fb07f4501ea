"""plots: the figures, drawn from arrays and reports."""
