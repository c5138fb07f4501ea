"""What is set before TensorFlow starts."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from stages.train import environment

# Takes memory in eight threads at once, then lets glibc describe its heaps.
HEAPS = """
import ctypes, sys, threading
if sys.argv[2] == "set":
    from stages.train.environment import share_heaps
    share_heaps()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
together = threading.Barrier(8)

def take():
    together.wait()
    libc.malloc(1000)
    together.wait()

threads = [threading.Thread(target=take) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


def count_heaps(path: Path, word: str) -> int:
    code = [sys.executable, "-c", HEAPS, str(path), word]
    environment = {name: v for name, v in os.environ.items() if not name.startswith("MALLOC_")}
    subprocess.run(code, cwd=ROOT, env=environment, check=True)
    return path.read_text().count("<heap nr=")


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="not glibc")
def test_threads_share_two_heaps(tmp_path: Path) -> None:
    assert count_heaps(tmp_path / "set", "set") == 2
    assert count_heaps(tmp_path / "not set", "not") > 2


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    environment.share_heaps()
