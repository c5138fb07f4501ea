"""The smallest DVC pipeline there is: one stage that copies a file. What DVC itself costs."""

import subprocess
from pathlib import Path

from benchmarks.speed.clone import Clone, clone_environment

DVC_YAML = """\
stages:
  copy:
    cmd: cp input.txt output.txt
    deps:
    - input.txt
    outs:
    - output.txt
"""
CONFIG = "[core]\n    analytics = false\n    check_update = false\n"  # as the project has it


def make(folder: Path) -> Clone:
    """The toy in `folder`, run once."""
    folder.mkdir()
    toy = Clone(folder, clone_environment(folder.with_name(f"{folder.name}-environment")))
    for command in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"]):
        subprocess.run(command, cwd=folder, env=toy.environment, check=True, capture_output=True)
    (folder / ".dvc/config").write_text(CONFIG, encoding="utf-8")
    (folder / "dvc.yaml").write_text(DVC_YAML, encoding="utf-8")
    (folder / "input.txt").write_text("one line\n", encoding="utf-8")
    toy.run("dvc", "repro")
    return toy
