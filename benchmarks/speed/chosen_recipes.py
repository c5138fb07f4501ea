"""The recipes that benchmarks pick out, by what their names hold."""

from benchmarks.machine import ROOT
from benchmarks.speed.clone import Clone
from stages.run.params import RECIPES
from tools.recipe import read_recipes

FAST, CNN = "fast", "cnn"


def named(part: str) -> str:
    """The first recipe whose name holds that. Raises LookupError without one."""
    names = list(read_recipes(ROOT / RECIPES))
    for name in names:
        if part in name:
            return name
    raise LookupError(f"{RECIPES}: expected a recipe with '{part}' in its name, found {names}")


def use(clone: Clone, part: str) -> str:
    """Write that recipe's values into the clone's params.yaml; the recipe's name."""
    name = named(part)
    clone.run("python", "-m", "tools.recipe", name)
    return name


def plain(clone: Clone) -> None:
    """The same network trained on the images as they are, once: what the peers do as well.

    The warm-up goes, too: it may be longer than the few epochs that are timed, and costs nothing.
    """
    augmentation = clone.params()["train"]["augmentation"]
    off = {f"train.augmentation.{name}": type(v)(0) for name, v in augmentation.items()}
    clone.edit(off | {"train.members": 1, "train.refit": False, "train.warmup": 0})
