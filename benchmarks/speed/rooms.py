"""What comes before and after the training: image files, predictions, what changed in the data."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from ruamel.yaml import YAML

from benchmarks.speed.clone import Clone
from benchmarks.speed.measure import Measurement, run_in_turn
from benchmarks.speed.results import Result, compare, peak_megabytes, seconds
from benchmarks.speed.workplace import Workplace

JPEGS = 20_000
NEW = 200
SIDE = 320  # pixels of each JPEG
PICTURES = ("python", "-m", "benchmarks.speed.pictures")
PILLOW = ("python", "-m", "benchmarks.peers.pillow_loop")
KERAS = ("python", "-m", "benchmarks.peers.keras_predict")
AUDIT = ("python", "-m", "benchmarks.audit", "--only-flips")
CLEANLAB = ("python", "-m", "benchmarks.peers.cleanlab_audit")
SERVING = ("python", "-m", "benchmarks.serving")
RECALL = re.compile(r"recall ([\d.]+)")
LOAD = re.compile(r"\d+/\d+ (.+): ([\d,]+) a second")
SETS = ("python", "-m", "benchmarks.peers.sets_of_images")


def image_files(place: Workplace) -> list[Result]:
    """`preprocess` on JPEG files beside a loop of Pillow's, and where it knows all but 1 %."""
    everything, known = photographs(place, JPEGS), photographs(place, JPEGS - NEW)
    cache, filled = place.folder / "cache", place.folder / "filled"
    decode(known, filled)

    def all_new() -> Measurement:
        shutil.rmtree(cache, ignore_errors=True)
        return decode(everything, cache)

    def few_new() -> Measurement:
        shutil.rmtree(cache)
        shutil.copytree(filled, cache)
        return decode(everything, cache)

    sides = {"ours": all_new, "Pillow": lambda: everything.run(*PILLOW), "few": few_new}
    done = run_in_turn(sides, place.runs)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    files = f"{JPEGS:,} of {SIDE} x {SIDE} pixels, to 64 x 64"
    note = f"{files}; ours on {cores} cores, start-up included"
    what = "decoding JPEGs: `preprocess` / a Pillow loop on one core"
    few = "1 % new JPEGs: `preprocess` / all of them new"
    return [
        compare(what, "s", done["ours"], done["Pillow"], seconds, note),
        compare(few, "s", done["few"], done["ours"], seconds, files),
    ]


def photographs(place: Workplace, count: int) -> Clone:
    """A clone with so many JPEG files in data/raw; those of a smaller number are among them."""
    clone = place.fresh()
    folder = clone.folder.parent / "photos"
    clone.run(*PICTURES, "photos", str(folder), str(count), str(SIDE))
    clone.run("python", "-m", "tools.dataset", "photos", str(folder), "--size", "64", "--untracked")
    clone.edit({"dataset": "photos", "preprocess.split": "stratified"})
    clone.run("dvc", "repro", "fetch")
    return clone


def decode(clone: Clone, cache: Path) -> Measurement:
    """`preprocess` with its decoded images in that folder."""
    environment = clone.environment | {"XDG_CACHE_HOME": str(cache)}
    return Clone(clone.folder, environment).stage("preprocess")


def one_prediction(place: Workplace) -> list[Result]:
    """`tools.predict` on one PNG file, as a whole process, beside Keras with model.keras."""
    clone = finished(place)
    clone.run(*PICTURES, "digit", "one.png")

    def ours() -> Measurement:
        return clone.run("python", "-m", "tools.predict", "one.png")

    done = run_in_turn({"ours": ours, "Keras": lambda: clone.run(*KERAS, "one.png")}, place.runs)
    sides = done["ours"], done["Keras"]
    return [
        compare("one image: `tools.predict` / Keras and model.keras", "s", *sides, seconds),
        compare("one image: peak memory of both", "MB", *sides, peak_megabytes),
    ]


def data_diff(place: Workplace) -> list[Result]:
    """What changed in 60,000 images between two commits, beside sets of Python."""
    clone = place.prepared()
    commit(clone, "before")
    clone.edit({"preprocess.split": "random"})
    clone.run("dvc", "repro", "preprocess")
    commit(clone, "after")
    arrays = list_arrays(clone)
    commands = {
        "ours": lambda: clone.run("python", "-m", "tools.compare", "--data", "HEAD~1", "HEAD"),
        "sets": lambda: clone.run(*SETS, *arrays),
    }
    done = run_in_turn(commands, place.runs)
    what = "what changed in the data: `tools.compare --data` / sets of Python"
    return [compare(what, "s", done["ours"], done["sets"], seconds)]


def label_audit(place: Workplace) -> list[Result]:
    """The audit where 1 % of the labels are flipped, beside cleanlab; once: it takes minutes."""
    clone = place.prepared()
    done = run_in_turn(
        {"ours": lambda: clone.run(*AUDIT), "cleanlab": lambda: clone.run(*CLEANLAB)}, 1
    )
    found = [RECALL.findall(done[side][0].output)[0] for side in ("ours", "cleanlab")]
    note = "of 1 % flipped labels {} are found at a precision of 0.9; by the peer {}".format(*found)
    what = "label audit of 60,000 images / cleanlab with scikit-learn"
    return [compare(what, "s", done["ours"], done["cleanlab"], seconds, note)]


def requests(place: Workplace) -> list[Result]:
    """Requests to the server under load, beside ten lines of FastAPI."""
    done = finished(place).run(*SERVING, "--runs", str(place.runs))
    rates: dict[str, list[float]] = {}
    for server, rate in LOAD.findall(done.output):
        rates.setdefault(server, []).append(float(rate.replace(",", "")))
    sides = ("this server", "ten lines of FastAPI")
    ours, peer = ([1000 / rate for rate in rates[side]] for side in sides)
    what = "a request to the server under load / ten lines of FastAPI"
    return [Result(what, "ms", ours, peer, "one core for the server", done.others)]


def finished(place: Workplace) -> Clone:
    """A clone with a model of two epochs."""
    clone = place.fresh()
    clone.edit({"train.epochs": 2})
    clone.run("dvc", "repro")
    return clone


def commit(clone: Clone, message: str) -> None:
    who = ["-c", "user.name=bench", "-c", "user.email=bench@example.org"]
    subprocess.run(
        ["git", *who, "commit", "--quiet", "--all", "--allow-empty", "--message", message],
        cwd=clone.folder, env=clone.environment, check=True,
    )  # fmt: skip


def list_arrays(clone: Clone) -> list[str]:
    """The files in DVC's cache with the images of both commits, those of the first one first."""
    paths = []
    for revision in ("HEAD~1", "HEAD"):
        shown = subprocess.run(
            ["git", "show", f"{revision}:dvc.lock"],
            cwd=clone.folder, check=True, capture_output=True, text=True,
        )  # fmt: skip
        for out in YAML(typ="safe").load(shown.stdout)["stages"]["preprocess"]["outs"]:
            if Path(out["path"]).name.startswith("x_"):
                md5 = out["md5"]
                paths.append(f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}")
    return paths
