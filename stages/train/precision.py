"""The precision that layers compute in while they train."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras

CPU = Path("/proc/cpuinfo")  # Linux alone has it
BFLOAT16 = r"\b(amx_bf16|avx512_bf16|bf16)\b"  # x86 and ARM


@contextmanager
def use_precision(precision: str) -> Iterator[None]:
    """Layers made within compute in that precision; their weights are always float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def warn_of_slow_arithmetic(precision: str) -> None:
    """Tell users who chose bfloat16 if this CPU computes it slowly, or may."""
    if precision != "mixed_bfloat16" or (CPU.exists() and re.search(BFLOAT16, CPU.read_text())):
        return
    found = "has no" if CPU.exists() else "may have no (this system does not tell)"
    print(
        f"train.precision: this CPU {found} arithmetic for bfloat16: a training may take several "
        "times as long as with float32"
    )
