"""python -m benchmarks.serving: requests a second, latency and memory of the server and its peers.

One image file a request on 32 connections, made by wrk on one core; each server has the other core,
one worker, and ONNX Runtime with one thread. All read and predict with serving.classifier: only
what serves differs. They run in turn, A B C A B C, and the ratios are of medians.

Peers that are not installed are left out. `--peers` names a Python with litserve and bentoml, for
they need other versions than this project. `--table` writes the last results into
docs/serving.md.
"""

import argparse
import csv
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks.machine import ROOT, machine
from serving.classifier import open_classifier
from serving.command_line import FOLDER
from tools.shared.command_line import make_parser
from tools.shared.marks import replace_between_marks

CSV = Path(__file__).with_name("serving.csv")
DOCUMENT = ROOT / "docs/serving.md"
COLUMNS = ("server", "requests_per_second", "p99_milliseconds", "megabytes", "runs", "machine")
CONNECTIONS = 32
SERVER_CORE, CLIENT_CORE = "0", "1"
START_SECONDS, STOP_SECONDS = 60, 5
QUIET = 0.9  # of its core, which a server gets under full load if nothing else runs there
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}

CsvRow = dict[str, str]


class Load(NamedTuple):
    """What a server did under load."""

    rate: float  # requests a second
    p99: float  # milliseconds
    memory: float  # MB, resident, of all its processes


def main() -> None:
    asked = parse_arguments()
    if not asked.table:
        if not shutil.which("wrk") or not shutil.which("taskset"):
            sys.exit("expected wrk and taskset (Debian: apt-get install wrk util-linux)")
        write_rows(measure(asked))
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(
        replace_between_marks(text, "measured", markdown_table(read_rows())), encoding="utf-8"
    )
    print(markdown_table(read_rows()))


def parse_arguments() -> argparse.Namespace:
    parser = make_parser("benchmarks.serving", __doc__)
    parser.add_argument("--runs", type=int, default=3, help="of each server (default: 3)")
    parser.add_argument("--seconds", type=int, default=10, help="of a run (default: 10)")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="has the peers")
    parser.add_argument(
        "--classifier", type=Path, default=FOLDER, metavar="FOLDER",
        help=f"folder with model.onnx and model.json (default: {FOLDER})",
    )  # fmt: skip
    parser.add_argument("--table", action="store_true", help="only write the table")
    return parser.parse_args()


def measure(asked: argparse.Namespace) -> dict[str, list[Load]]:
    """The runs of each server, in turn."""
    done: dict[str, list[Load]] = {}
    commands = commands_of(asked.peers, asked.classifier.resolve())
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        script = write_request(Path(folder), asked.classifier)
        for number in range(1, asked.runs + 1):
            for port, (name, command) in enumerate(commands.items(), start=8400):
                words = [word.replace("PORT", str(port)) for word in command]
                log = Path(folder) / "log"
                with running(words, port, asked.classifier, log) as process:
                    run_wrk(script, port, 2)  # the first requests are slower
                    before = cpu_seconds(process.pid)
                    rate, p99 = run_wrk(script, port, asked.seconds)
                    share = (cpu_seconds(process.pid) - before) / asked.seconds
                    load = Load(rate, p99, resident(process.pid) / 1e6)
                done.setdefault(name, []).append(load)
                disturbed = f"; disturbed: it had {share:.2f} of its core" if share < QUIET else ""
                print(f"{number}/{asked.runs} {name}: {describe(load)}{disturbed}", flush=True)
    return done


def describe(load: Load) -> str:
    return f"{load.rate:,.0f} a second, p99 {load.p99:.1f} ms, {load.memory:.0f} MB"


def commands_of(peers: str, classifier: Path) -> dict[str, list[str]]:
    """The command of each server that is installed; PORT stands for its port."""
    folder = str(classifier)
    bento = str(Path(peers).parent / "bentoml")
    place = "benchmarks.serving.peers"
    commands = {
        "this server": [sys.executable, "-m", "serving", "--port", "PORT", "--classifier", folder],
        "ten lines of FastAPI": [
            sys.executable, "-m", "uvicorn", "--no-access-log", "--port", "PORT",
            f"{place}.on_fastapi:app",
        ],
        "LitServe": [peers, "-m", f"{place}.on_litserve", folder, "PORT"],
        "BentoML": [bento, "serve", f"{place}.on_bentoml:Classify", "--port", "PORT"],
    }  # fmt: skip
    for name, package in (("LitServe", "litserve"), ("BentoML", "bentoml")):
        if not has_package(peers, package):
            print(f"{name} is left out: {peers} has no package {package}")
            del commands[name]
    return commands


def has_package(python: str, package: str) -> bool:
    if python == sys.executable:
        return find_spec(package) is not None
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is None)"
    return subprocess.run([python, "-c", code], check=False).returncode == 0


def write_request(folder: Path, classifier: Path) -> Path:
    """A script for wrk that posts an image: a bright bar, as wide and high as the network takes."""
    pixels = np.zeros(open_classifier(classifier).shape, np.uint8)
    height, width = pixels.shape[:2]
    pixels[height // 7 : -height // 7, width * 3 // 7 : width * 4 // 7] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    (folder / "image.png").write_bytes(file.getvalue())
    script = folder / "post.lua"
    script.write_text(
        f'local file = io.open("{folder}/image.png", "rb")\n'
        'wrk.method, wrk.body = "POST", file:read("*all")\n'
        'wrk.headers["Content-Type"] = "image/png"\n',
        encoding="utf-8",
    )
    return script


@contextmanager
def running(
    command: list[str], port: int, classifier: Path, log: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """A server on its core, until the block ends; all its processes end with it."""
    environment = os.environ | {
        "CLASSIFIER": str(classifier.resolve()),
        "PYTHONPATH": search_path(),
    }
    with log.open("wb") as file:
        process = subprocess.Popen(
            ["taskset", "--cpu-list", SERVER_CORE, *command], cwd=ROOT, env=environment,
            stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    try:
        wait_for_answer(process, port, log)
        yield process
    finally:
        stop(process)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a server and all that it started: what is left would slow the next one down."""
    started = tree_of(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    for pid in started:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def search_path() -> str:
    """The peers' Python has not this project on its path."""
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))


def wait_for_answer(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        if process.poll() is not None or time.monotonic() > end:
            sys.exit(f"{process.args} does not answer:\n{log.read_text(encoding='utf-8')[-2000:]}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1).close()
            return
        except urllib.error.HTTPError:
            return  # it has no such page, but answers
        except OSError:
            time.sleep(0.1)


def run_wrk(script: Path, port: int, seconds: int) -> tuple[float, float]:
    """Requests a second, and the 99th percentile of the latency in milliseconds."""
    done = subprocess.run(
        ["taskset", "--cpu-list", CLIENT_CORE, "wrk", "--threads", "1", "--latency",
         "--connections", str(CONNECTIONS), "--duration", f"{seconds}s", "--script", str(script),
         f"http://127.0.0.1:{port}/predict"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout)
    if not rate or not p99 or "Non-2xx" in done.stdout:
        sys.exit(f"expected answers with status 200, found:\n{done.stdout}")
    return float(rate[1]), float(p99[1]) * UNITS[p99[2]]


def resident(pid: int) -> int:
    """Bytes of a process and of all that it started."""
    total = 0
    for each in tree_of(pid):
        status = Path(f"/proc/{each}/status").read_text(encoding="ascii", errors="replace")
        found = re.search(r"^VmRSS:\s+(\d+)", status, re.MULTILINE)
        total += int(found[1]) * 1024 if found else 0
    return total


def cpu_seconds(pid: int) -> float:
    """Of a process and of all that it started and that still runs."""
    total = 0
    for each in tree_of(pid):
        text = Path(f"/proc/{each}/stat").read_text(encoding="ascii", errors="replace")
        total += sum(map(int, text.rpartition(")")[2].split()[11:13]))  # user and system time
    return total / os.sysconf("SC_CLK_TCK")


def tree_of(pid: int) -> list[int]:
    """A process that still runs and its descendants."""
    if not Path(f"/proc/{pid}/task").exists():
        return []
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text(encoding="ascii").split()
    ]
    return [pid, *(found for child in children for found in tree_of(child))]


def write_rows(done: dict[str, list[Load]]) -> None:
    with CSV.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, runs in done.items():
            medians = [f"{median(values):.1f}" for values in zip(*runs, strict=True)]
            writer.writerow([name, *medians, len(runs), machine()])


def read_rows() -> list[CsvRow]:
    with CSV.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def markdown_table(rows: list[CsvRow]) -> str:
    """A line a server, with what this one comes to in comparison."""
    lines = [
        "| Server | Requests/s | Ours / theirs | p99 | Ours / theirs | Memory | Ours / theirs |",
        "|:--|--:|--:|--:|--:|--:|--:|",
    ]
    ours = rows[0]
    for row in rows:
        cells = [row["server"]]
        for column, form in (
            ("requests_per_second", "{:,.0f}"), ("p99_milliseconds", "{:.1f} ms"),
            ("megabytes", "{:,.0f} MB"),
        ):  # fmt: skip
            ratio = float(ours[column]) / float(row[column])
            cells += [form.format(float(row[column])), "" if row is ours else f"{ratio:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Medians of {ours['runs']} runs on {ours['machine']}."])


if __name__ == "__main__":
    main()
