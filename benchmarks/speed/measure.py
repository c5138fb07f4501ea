"""Whole processes measured from outside: seconds of wall time, peak memory, when a line came."""

import os
import re
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

EPOCH_LINE = re.compile(r"epoch \d+/\d+ ")  # what the train stage and each peer print an epoch
QUIET = 0.1  # processors; a machine that is busier with other things measures those, too
SAMPLE_SECONDS = 0.01  # of two looks at a process' private memory
TO_BYTES = 1 if os.uname().sysname == "Darwin" else 1024  # of the unit of ru_maxrss


class Measurement(NamedTuple):
    seconds: float  # from start to end of the whole process
    peak: int  # bytes, resident, of the largest process among the command's and its children's
    private: int  # bytes, of the command's own process, without mapped files; 0 where unknown
    lines: list[tuple[float, str]]  # what it printed, each line with the second it came at
    others: float = 0.0  # processors that everything else on the machine kept busy meanwhile

    @property
    def output(self) -> str:
        """All that it printed."""
        return "".join(line for _, line in self.lines)

    @property
    def epoch_seconds(self) -> float:
        """The mean from one epoch's line to the next: start-up and the first epoch do not count.

        An epoch is then all that is done in it: training, validation, checkpoint, whatever else.
        """
        times = [second for second, line in self.lines if EPOCH_LINE.match(line)]
        if len(times) < 2:
            raise ValueError(f"expected the lines of two epochs or more, found {len(times)}")
        return (times[-1] - times[0]) / (len(times) - 1)


def run_process(command: Sequence[str], folder: Path, environment: dict[str, str]) -> Measurement:
    """Run a command to its end. Raises RuntimeError with what it printed if it fails.

    The kernel itself accounts for the peak, so no short one is missed; it takes the caller's own
    memory as the least, so the caller must stay small. Private memory is looked at every 10 ms.
    """
    lines: list[tuple[float, str]] = []
    highest = [0]
    busy = busy_seconds()
    start = time.perf_counter()
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    ) as process:  # fmt: skip

        def listen() -> None:
            lines.extend((time.perf_counter() - start, line) for line in process.stdout)

        def look() -> None:
            while process.returncode is None:
                highest[0] = max(highest[0], private_memory(process.pid))
                time.sleep(SAMPLE_SECONDS)

        threads = [threading.Thread(target=listen), threading.Thread(target=look)]
        for thread in threads:
            thread.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        own = usage.ru_utime + usage.ru_stime
        others = max(0.0, busy_seconds() - busy - own) / seconds
        process.returncode = os.waitstatus_to_exitcode(status)
        for thread in threads:
            thread.join()
    if process.returncode:
        output = "".join(line for _, line in lines)[-3000:]
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{output}")
    return Measurement(seconds, usage.ru_maxrss * TO_BYTES, highest[0], lines, others)


def private_memory(pid: int) -> int:
    """Bytes of a process that belong to no file. Linux alone tells; 0 elsewhere and at its end."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    found = re.search(r"^RssAnon:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def busy_seconds() -> float:
    """Seconds that all processors have worked since the machine's start. 0 where it is no Linux."""
    try:
        first, _ = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)
    except OSError:
        return 0.0
    user, nice, system, _idle, _wait, interrupt, soft, stolen = map(int, first.split()[1:9])
    return (user + nice + system + interrupt + soft + stolen) / os.sysconf("SC_CLK_TCK")


def run_in_turn(
    commands: dict[str, Callable[[], Measurement]], runs: int, say: Callable[[str], None] = print
) -> dict[str, list[Measurement]]:
    """Each command `runs` times, A B A B ...: what slows the machine for a while slows them all."""
    done: dict[str, list[Measurement]] = {name: [] for name in commands}
    for number in range(1, runs + 1):
        for name, command in commands.items():
            done[name].append(command())
            last = done[name][-1]
            busy = f"; others: {last.others:.1f} processors" if last.others > QUIET else ""
            say(f"  {number}/{runs} {name}: {last.seconds:.2f} s, {last.peak / 1e6:,.0f} MB{busy}")
    return done


def median_ratio(ours: Sequence[float], peer: Sequence[float]) -> float:
    """The median of the ratios pair by pair: both of a pair ran one after the other."""
    return statistics.median(a / b for a, b in zip(ours, peer, strict=True))


def median_difference(ours: Sequence[float], peer: Sequence[float]) -> float:
    return statistics.median(a - b for a, b in zip(ours, peer, strict=True))
