"""One switch for debugging: STAGES_PLAIN=1 turns every oddity off that only saves time.

It turns off the packages hidden from imports, the paused garbage collector, the filter of stderr
and the early exit (stages/run/importing.py, stages/run/__main__.py), and the fused kernels of
training (stages/train/fast_paths.py). The same values then give the same bytes, but for networks
with batch normalisation, which round differently.
"""

import os

VARIABLE = "STAGES_PLAIN"


def is_plain() -> bool:
    return os.environ.get(VARIABLE, "0") not in ("", "0")
