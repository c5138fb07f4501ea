"""python -m tools.why: which stages would run, and because of what."""
