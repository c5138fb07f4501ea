"""A temporary folder with the clones that the rows measure in."""

import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.speed.clone import Clone, make_clone


class Workplace(NamedTuple):
    folder: Path
    runs: int  # of each command
    epochs: int  # of a training whose epochs are timed; the first does not count

    def fresh(self) -> Clone:
        """A new clone, nothing run in it."""
        return make_clone(Path(tempfile.mkdtemp(dir=self.folder)) / "clone")

    def prepared(self) -> Clone:
        """A new clone with data/raw and data/processed, to run single stages and peers in."""
        made = self.fresh()
        made.run("dvc", "repro", "preprocess")
        return made
