"""The page about two models: is B better than A, where, and can it be believed?"""

from tools.compare.page import (
    Page,
    Table,
    common_notes,
    count_common,
    describe_common,
    differences_of,
    format_interval,
    format_p,
    score_table,
    short_verdict,
    what_differs,
)
from tools.compare.paired import Row, class_rows, metric_rows
from tools.compare.verdicts import SAME
from tools.shared.lists import name_some
from tools.shared.paths import PROBABILITIES
from tools.shared.predictions import Predictions
from tools.shared.revisions import Revision, differing_keys

MOST_CLASSES, MOST_MOVED = 40, 20  # in the table and in the sentence; --json has every class
PAIR_NOTES = [
    """This is about two trained models; another seed trains others. Whether a recipe is better,
    only groups of runs can say: --group A1 A2 A3 --group B1 B2 B3.""",
    """A verdict needs p < 0.05; "no evidence" is short for "no evidence of a difference". Accuracy:
    McNemar's score test and Tango's interval. Recall: exact McNemar test, corrected for the number
    of classes (Holm). The others: paired bootstrap over images, from about 1,000 images on.""",
]
SAME_BYTES = "The predictions of A and B are the same, bit for bit."
OTHER_BYTES = """Neither params nor code differ, yet the predictions do: other versions of the
    libraries, or another type of machine."""
ONLY_SEED = "Only the seed differs: this is by how much another seed moves the scores."


def compare_pair(predictions: Predictions, split: str) -> Page:
    """The page about two revisions: A, the first, and B."""
    (a, b), (a_probabilities, b_probabilities), labels, common = predictions
    metrics = metric_rows(a_probabilities, b_probabilities, labels)
    classes = class_rows(a_probabilities, b_probabilities, labels, a.classes)
    fixed, broken = (sum(row[count] for row in classes) for count in ("fixed", "broken"))
    same = a.made[str(PROBABILITIES[split])] == b.made[str(PROBABILITIES[split])]
    rest = len(labels) - fixed - broken
    shared = describe_common(common, {"A": 0, "B": 1}, split) if common else []
    changes = f"{fixed:,} images fixed, {broken:,} broken; both right or both wrong on {rest:,}."
    return Page(
        title=f"B = {b.title} against A = {a.title}, {len(labels):,} {split} images",
        verdict=metrics[0]["verdict"],
        answer=[SAME_BYTES, *shared]
        if same
        else [describe_accuracy(metrics[0]), *shared, changes, describe_classes(classes)],
        tables=[what_differs(a, b)]
        + ([] if same else [score_table(metrics), class_table(classes)]),
        notes=([] if same else PAIR_NOTES + explain_no_change(a, b)) + common_notes([a, b], split),
        data={
            "split": split,
            "images": len(labels),
            **({"common": count_common(common)} if common else {}),
            "a": {"name": a.name, "commit": a.commit},
            "b": {"name": b.name, "commit": b.commit},
            **differences_of(a, b),
            "fixed": fixed,
            "broken": broken,
            "metrics": metrics,
            "classes": classes,
        },
    )


def explain_no_change(a: Revision, b: Revision) -> list[str]:
    """What it says of the difference that next to nothing differs between the recipes."""
    keys = differing_keys(a.params | a.code, b.params | b.code)
    return [OTHER_BYTES] if not keys else [ONLY_SEED] if keys == ["seed"] else []


def describe_accuracy(accuracy: Row) -> str:
    same = accuracy["verdict"] == SAME
    said = f"There is {SAME}" if same else f"B is {accuracy['verdict']} than A"
    return (
        f"{said}: accuracy {accuracy['a']:.4f} -> {accuracy['b']:.4f}, {format_interval(accuracy)}."
    )


def describe_classes(classes: list[Row]) -> str:
    moved = [f"{row['class']} ({row['verdict']})" for row in classes if row["verdict"] != SAME]
    if not moved:
        return "No single class moved by more than chance would move it."
    return f"Classes that moved by more than chance: {name_some(moved, MOST_MOVED)}."


def class_table(classes: list[Row]) -> Table:
    """Every class, or of very many those that changed most, in the classes' order."""
    title = "Recall by class, and the mistake that changed most"
    if len(classes) > MOST_CLASSES:
        title = f"{title}: the {MOST_CLASSES} of {len(classes):,} classes that changed most"
        order = sorted(range(len(classes)), key=lambda i: rank_change(classes[i]))
        classes = [classes[i] for i in sorted(order[:MOST_CLASSES])]
    return Table(
        title,
        ["class", "images", "A", "B", "fixed", "broken", "p", "verdict", "mistaken for"],
        [
            [
                row["class"],
                f"{row['images']:,}",
                f"{row['a']:.4f}",
                f"{row['b']:.4f}",
                str(row["fixed"]),
                str(row["broken"]),
                format_p(row["p"]),
                short_verdict(row["verdict"]),
                format_mistake(row["largest_change"]),
            ]
            for row in classes
        ],
    )


def rank_change(row: Row) -> tuple[float, int]:
    """Sorts the classes that most certainly changed first, then those with most changes."""
    return row["p"], -(row["fixed"] + row["broken"])


def format_mistake(change: Row | None) -> str:
    return f"{change['taken_for']}: {change['a']} -> {change['b']}" if change else ""
