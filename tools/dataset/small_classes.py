"""Classes with too few images to lie in train, validation and test."""

from __future__ import annotations

from collections import Counter

from tools.dataset.found import MOST_SHOWN, Found, class_of
from tools.shared.lists import name_some

SPLITS = ("train", "validation", "test")


def describe_small_classes(found: Found) -> list[str]:
    """What preprocess will refuse, as lines to print.

    Images of a group count as one, since they stay together.
    """
    owned = [split for split in SPLITS[1:] if found.splits[split]]
    shared = [split for split in SPLITS if split not in owned]
    counts = count_units(found, owned)
    small = [f"{name} has {counts[name]}" for name in found.classes if counts[name] < len(shared)]
    lines = []
    if small:
        what = "groups of images" if found.group else "images"
        beside = f", beside the source's {' and '.join(owned)} images" if owned else ""
        places = " and ".join([", ".join(shared[:-1]), shared[-1]] if shared[1:] else shared)
        lines.append(
            f"  too few {what}: each class needs {len(shared)}{beside}, to lie in {places}; "
            f"{name_some(small, MOST_SHOWN)}. Add images, or remove the class"
        )
    for split in owned:
        has = {class_of(found, label) for label, own, _ in found.members if own == split}
        absent = [name for name in found.classes if name not in has]
        if absent:
            lines.append(
                f"  the source has no {split} images of {name_some(absent, MOST_SHOWN)}. Add some, "
                "or remove the class"
            )
    return lines


def count_units(found: Found, owned: list[str]) -> Counter[str]:
    """Images, or groups of images, by class; without those of the splits that the source has."""
    counts: Counter[str] = Counter()
    seen = set()
    for (label, split, group), count in found.members.items():
        name = class_of(found, label)
        if split not in owned and (name, group) not in seen:
            counts[name] += 1 if group else count
            seen |= {(name, group)} if group else set()
    return counts
