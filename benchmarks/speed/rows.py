"""What `make bench` measures: a function a row or two, ours and the peer's in turn."""

import json
import re
from collections.abc import Callable
from functools import partial

from benchmarks.speed import chosen_recipes, toy_pipeline
from benchmarks.speed.bigger_data import repeat_images
from benchmarks.speed.epochs import article_epoch, cnn_epoch
from benchmarks.speed.measure import Measurement, run_in_turn
from benchmarks.speed.results import (
    Limit,
    Result,
    compare,
    epoch_seconds,
    peak_megabytes,
    private_megabytes,
    seconds,
)
from benchmarks.speed.rooms import (
    data_diff,
    image_files,
    label_audit,
    one_prediction,
    requests,
)
from benchmarks.speed.workplace import Workplace

TIMES = 10  # as many images in the rows of growth
SHORT = 3  # times the runs for what takes a second
ARTICLE = ("python", "-m", "benchmarks.peers.article_script")


def cold_run(place: Workplace) -> list[Result]:
    """`dvc repro` with the default parameters in a new clone, beside the article's script."""

    def ours() -> Measurement:
        return place.fresh().run("dvc", "repro")

    peer = place.prepared()
    done = run_in_turn({"ours": ours, "article": lambda: peer.run(*ARTICLE)}, place.runs)
    sides = done["ours"], done["article"]
    note = "five stages; the data is in the download cache"
    memory = "peak memory of the largest stage / article's script"
    return [
        compare("default `dvc repro`, cold / article's script", "s", *sides, seconds, note),
        compare(memory, "MB", *sides, peak_megabytes),
    ]


def fast_recipe(place: Workplace) -> list[Result]:
    """The whole train process of the fast recipe, and the test accuracy it comes to."""
    fast = place.prepared()
    name = chosen_recipes.use(fast, chosen_recipes.FAST)
    commands = {"ours": partial(fast.stage, "train"), "article": lambda: fast.run(*ARTICLE)}
    done = run_in_turn(commands, place.runs)
    fast.stage("evaluate")
    test = json.loads((fast.folder / "reports/test.json").read_text(encoding="utf-8"))
    (article,) = re.findall(r"Test accuracy ([\d.]+)", done["article"][-1].output)
    note = f"recipe {name}: test accuracy {test['accuracy']}; the script's {article}"
    what = "`train` of the fast recipe / article's script"
    return [compare(what, "s", done["ours"], done["article"], seconds, note)]


def no_op(place: Workplace) -> list[Result]:
    """`dvc repro` where nothing changed, beside a toy's; and with a changed value of `plots`."""
    finished = place.fresh()
    finished.edit({"train.epochs": 2})  # as many figures, and nobody waits for it
    finished.run("dvc", "repro")
    toy = toy_pipeline.make(place.folder / "toy")
    pairs = iter(range(11, 100))

    def idle() -> Measurement:
        return finished.run("dvc", "repro")

    def changed() -> Measurement:
        finished.edit({"plots.confused_pairs": next(pairs)})  # new each time: nothing is cached
        return finished.run("dvc", "repro")

    done = run_in_turn({"ours": idle, "toy": lambda: toy.run("dvc", "repro")}, SHORT * place.runs)
    edits = run_in_turn({"edited": changed, "no-op": idle}, place.runs)
    over = "a changed `plots` value, over the no-op"
    return [
        compare("no-op `dvc repro` / a one-stage toy's", "s", done["ours"], done["toy"], seconds),
        compare(over, "s", edits["edited"], edits["no-op"], seconds),
    ]


def growth(place: Workplace) -> list[Result]:
    """The stages with ten times the images, beside the same stages with today's."""
    today, tenfold = place.fresh(), place.fresh()
    today.run("dvc", "repro", "fetch")
    repeat_images(today.folder / "data/raw", tenfold.folder / "data/raw", TIMES)
    for one in (today, tenfold):
        one.edit({"train.epochs": 2})
    what = f"{TIMES} times the images"
    results = []
    for stage in ("preprocess", "train", "evaluate"):
        done = run_in_turn(
            {"ours": partial(tenfold.stage, stage), "today": partial(today.stage, stage)},
            place.runs,
        )
        sides = done["ours"], done["today"]
        if stage == "preprocess":
            name, note = f"{what}: preprocess / {TIMES} times today's", "start-up included"
            results.append(compare(name, "s", *sides, seconds, note, TIMES))
        if stage == "train":
            name = f"{what}: epoch / {TIMES} times today's"
            results.append(compare(name, "s", *sides, epoch_seconds, times=TIMES))
        mapped, of_today = (max(map(peak_megabytes, runs)) for runs in sides)
        note = f"without mapped files; with them {mapped:,.0f} and {of_today:,.0f} MB"
        name = f"{what}: peak memory of {stage} over today's"
        results.append(compare(name, "MB", *sides, private_megabytes, note))
    return results


ROWS: dict[str, Callable[[Workplace], list[Result]]] = {
    "cold": cold_run,
    "fast": fast_recipe,
    "epoch": article_epoch,
    "cnn": cnn_epoch,
    "no-op": no_op,
    "growth": growth,
    "images": image_files,
    "predict": one_prediction,
    "server": requests,
    "audit": label_audit,
    "data": data_diff,
}

# In the order of the table. None: measured, but held to nothing.
LIMITS: dict[str, Limit | None] = {
    "default `dvc repro`, cold / article's script": Limit(0.55, 0.5),
    "`train` of the fast recipe / article's script": Limit(0.25, 0.12),
    "peak memory of the largest stage / article's script": Limit(0.57, 0.45),
    "epoch of the article's network / PyTorch, plain loop": Limit(0.65, 0.55),
    "epoch of the article's network / PyTorch, compiled": None,
    "epoch of the article's network / scikit-learn, without validation": None,
    "epoch of the CNN recipe / PyTorch's best": Limit(0.75, 0.65),
    "epoch of the CNN recipe / PyTorch, plain loop": None,
    "epoch of the CNN recipe / PyTorch, channels last": None,
    "epoch of the CNN recipe / PyTorch, compiled": None,
    "epoch of the CNN recipe / PyTorch, compiled, channels last": None,
    "no-op `dvc repro` / a one-stage toy's": Limit(1.25, 1.1),
    "a changed `plots` value, over the no-op": Limit(2.0, 1.2, "difference"),
    "10 times the images: preprocess / 10 times today's": Limit(1.1, 1.0),
    "10 times the images: epoch / 10 times today's": None,
    "10 times the images: peak memory of preprocess over today's": Limit(150, 0, "difference"),
    "10 times the images: peak memory of train over today's": Limit(150, 0, "difference"),
    "10 times the images: peak memory of evaluate over today's": Limit(150, 0, "difference"),
    "decoding JPEGs: `preprocess` / a Pillow loop on one core": Limit(0.59, 0.55),
    "1 % new JPEGs: `preprocess` / all of them new": Limit(0.1, 0.05),
    "one image: `tools.predict` / Keras and model.keras": Limit(0.2, 0.1),
    "one image: peak memory of both": Limit(0.3, 0.2),
    "a request to the server under load / ten lines of FastAPI": None,
    "label audit of 60,000 images / cleanlab with scikit-learn": None,
    "what changed in the data: `tools.compare --data` / sets of Python": None,
}
