"""A stage that says at its end what its seconds went to.

python -m benchmarks.stage_parts STAGE PATH ...: as stages.run, whose functions it times from
outside; then a line `parts {"start": ..., "seconds": {...}, "end": ...}`. start and end are of the
machine's monotonic clock, which other processes can compare with theirs.
"""

import importlib
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

# Where a stage's seconds go, by the names that its module uses. What is left is "compute".
# Mapped arrays are only opened in "read": their pages are read where they are used.
PARTS = {
    "read_array": "read", "read_json": "read", "read_table": "read", "read_idx": "read",
    "load_model": "read", "fetch": "read",
    "write_array": "write", "write_rows": "write", "write_json": "write", "write_table": "write",
    "save_model": "write",
    "replacing": "write",
}  # fmt: skip
CHECKS = {
    "stages.inputs": ("read_inputs", "fingerprint", "refuse_changes"),
    "stages.params": ("read_sections",),
}
METHODS = {
    ("matplotlib.figure", "Figure", "savefig"): "draw",
    ("keras", "Model", "fit"): "fit",
    ("keras", "Model", "predict_on_batch"): "predict",
}


class Clock:
    """Seconds by part; one that begins inside another stops it until it ends."""

    def __init__(self) -> None:
        self.start = self.since = time.perf_counter()
        self.seconds: dict[str, float] = defaultdict(float)
        self.open = ["compute"]

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self.turn()
        self.open.append(name)
        try:
            yield
        finally:
            self.turn()
            self.open.pop()

    def turn(self) -> None:
        now = time.perf_counter()
        self.seconds[self.open[-1]] += now - self.since
        self.since = now

    def say(self) -> None:
        self.turn()
        said = {"start": self.start, "seconds": self.seconds, "end": self.since}
        print(f"parts {json.dumps(said)}", flush=True)


def timed(clock: Clock, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with clock.part(part):
            return function(*args, **kwargs)

    return call


def timed_block(clock: Clock, part: str, manager: Callable[..., Any]) -> Callable[..., Any]:
    """The same of a context manager: the part lasts as long as its block."""

    @contextmanager
    def block(*args: Any, **kwargs: Any) -> Iterator[Any]:
        with clock.part(part), manager(*args, **kwargs) as value:
            yield value

    return block


def time_stage(clock: Clock, module: ModuleType) -> None:
    """Time what the stage's module calls, under the names that it has for it."""
    for name, part in PARTS.items():
        if hasattr(module, name):
            wrap = timed_block if name == "replacing" else timed
            setattr(module, name, wrap(clock, part, getattr(module, name)))
    for (place, kind, method), part in METHODS.items():
        if place in sys.modules:  # not to import what the stage does not
            owner = getattr(sys.modules[place], kind)
            setattr(owner, method, timed(clock, part, getattr(owner, method)))


def main() -> None:
    clock = Clock()
    with clock.part("import"):
        from stages import run as runner  # noqa: PLC0415  # imports are what is timed

        for place, names in CHECKS.items():
            module = importlib.import_module(place)
            for name in names:
                setattr(module, name, timed(clock, "check", getattr(module, name)))
    import_module = importlib.import_module

    def import_stage(name: str, *args: Any) -> ModuleType:
        with clock.part("import"):
            module = import_module(name, *args)
        if name.startswith("stages."):
            time_stage(clock, module)
        return module

    def end_at_once(code: int) -> None:
        clock.say()
        end(code)

    importlib.import_module = import_stage
    end, os._exit = os._exit, end_at_once  # a stage may end so: Python's orderly end takes a while
    try:
        runner.main()
    finally:
        clock.say()


if __name__ == "__main__":
    main()
