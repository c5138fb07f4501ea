"""What the numbers were measured on and with: a line each, without names of the machine."""

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from stages.run.versions import installed_version

ROOT = Path(__file__).parent.parent  # of the project
PACKAGES = ("dvc", "keras", "tensorflow", "numpy", "scikit-learn", "torch")
MATRIX_UNITS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")  # the best first


def machine() -> str:
    """Processor, its best instructions for matrix products, cores that may be used, memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    try:
        described = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # no Linux
        described = ""
    name = re.search(r"^model name\s*: (.+)", described, re.MULTILINE)
    flags = re.search(r"^flags\s*: (.+)", described, re.MULTILINE)
    units = [unit for unit in MATRIX_UNITS if flags and unit in flags[1].split()]
    processor = name[1] if name else platform.processor() or platform.machine()
    return f"{' with '.join([processor, *units[:1]])}; {cores} cores; {memory:.0f} GB"


def versions(project: Path) -> str:
    """The commit that was measured, Python and the packages that compute."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=project, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    found = [f"commit {commit}", f"python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            found.append(f"{package} {installed_version(package).split('+')[0]}")
        except PackageNotFoundError:  # torch, where only rows without it are measured
            continue
    return ", ".join(found)
