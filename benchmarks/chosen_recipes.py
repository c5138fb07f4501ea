"""The recipes that are measured, by what their names hold; the only place that knows of them."""

from pathlib import Path

from ruamel.yaml import YAML

from benchmarks.clone import ROOT, Clone

FAST, CNN = "fast", "cnn"


def named(part: str, recipes: Path = ROOT / "recipes.yaml") -> str:
    """The first recipe in recipes.yaml whose name holds that. Raises LookupError without one."""
    names = list(YAML(typ="safe").load(recipes)) if recipes.exists() else []
    for name in names:
        if part in name:
            return str(name)
    raise LookupError(f"no recipe in {recipes.name} has '{part}' in its name; it has {names}")


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
