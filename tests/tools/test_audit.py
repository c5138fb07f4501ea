"""The audit's arithmetic: folds, suspects, near-duplicates, merged corrections."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_self_confidence_for_each_label

from stages.preprocess.corrections import Correction, read_corrections
from stages.shared.arrays import write_array
from stages.shared.errors import UserError
from stages.train.architectures import refuse_small_images
from tools.audit import near_duplicates
from tools.audit.decisions import merge_corrections
from tools.audit.folds import (
    Task,
    assign_folds,
    path_of,
    plan_folds,
    plan_test,
    read_probabilities,
    tasks_left,
)
from tools.audit.near_duplicates import find_nearest_images
from tools.audit.suspects import is_confident_error, rank_suspects
from tools.audit.training import (
    FEWEST_UPDATES,
    choose_batch_size,
    choose_epochs,
    choose_kinds,
    choose_network,
)
from tools.shared.corrections import write_corrections

CLASSES = ["left", "middle", "right"]


def noisy_probabilities(seed: int, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """What networks say of 400 images, and their labels, one in ten of them wrong."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, 400)
    scores = random.normal(size=(400, classes)) + 2.5 * np.eye(classes)[truth]
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    wrong = random.random(400) < 0.1
    labels = np.where(wrong, (truth + random.integers(1, classes, 400)) % classes, truth)
    labels[:classes] = np.arange(classes)
    return shares.astype(np.float32), labels


# Suspects


@pytest.mark.parametrize("seed", range(5))
def test_confident_errors_are_those_of_cleanlab(seed):
    probabilities, labels = noisy_probabilities(seed)
    theirs = find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
    ours = is_confident_error(probabilities, labels)
    assert ours.sum() > 10
    np.testing.assert_array_equal(ours, theirs)


def test_a_class_without_an_image_is_nobodys_suggestion():
    probabilities, labels = noisy_probabilities(0)
    more = np.concatenate([probabilities * 0.9, np.full((400, 1), 0.1)], axis=1)
    np.testing.assert_array_equal(
        is_confident_error(more, labels), is_confident_error(probabilities, labels)
    )


def test_suspects_are_ranked_by_the_probability_of_the_given_label_as_cleanlab_does():
    probabilities, labels = noisy_probabilities(1)
    ranked = rank_suspects(probabilities[None], labels)
    theirs = get_self_confidence_for_each_label(labels, probabilities)
    order = np.argsort(theirs, kind="stable")
    others = probabilities.argmax(axis=1) != labels
    np.testing.assert_array_equal(ranked, order[others[order]])
    assert set(np.flatnonzero(is_confident_error(probabilities, labels))) <= set(ranked)


def test_the_mean_of_all_networks_that_judged_an_image_counts(tmp_path: Path):
    shares = np.random.default_rng(0).random((2, 3, 2)).astype(np.float32)
    tasks = [
        Task("a", "kind", 0, np.array([1]), np.array([5, 7])),
        Task("b", "kind", 1, np.array([1]), np.array([2, 5])),
    ]
    assert tasks_left(tasks, tmp_path) == tasks
    write_array(path_of(tasks[0], tmp_path), shares[0, :2])
    assert tasks_left(tasks, tmp_path) == tasks[1:]
    write_array(path_of(tasks[1], tmp_path), shares[1, :2])
    found = read_probabilities(tasks, np.array([2, 5, 7]), 2, tmp_path)
    expected = [shares[1, 0], (shares[0, 0] + shares[1, 1]) / 2, shares[0, 1]]
    np.testing.assert_allclose(found, [expected], rtol=1e-6)
    other = tasks[0]._replace(name="c", kind="another", judged=np.array([2, 5, 7]))
    write_array(path_of(other, tmp_path), shares[0])
    both = read_probabilities([*tasks, other], np.array([2, 5, 7]), 2, tmp_path)
    np.testing.assert_allclose(both, [expected, shares[0]], rtol=1e-6)


def test_what_one_kind_alone_gets_wrong_is_less_suspect_than_what_all_get_wrong():
    given = np.array([[0.05, 0.3, 0.2, 0.9], [0.05, 0.1, 0.2, 0.9], [0.7, 0.1, 0.2, 0.9]])
    of_kinds = np.stack([given, 1 - given], axis=2)
    ranked = rank_suspects(of_kinds, np.zeros(4, np.int64))
    assert [*ranked] == [2, 1, 0]  # by 0.2, 0.3, 0.7; the last one is no suspect


# Folds


def test_folds_have_as_many_images_of_each_class_and_keep_equal_ones_together():
    labels = np.repeat([0, 1, 2], [40, 20, 10])
    units = np.arange(70)
    units[[1, 45, 69]] = units[0]  # equal images, whatever their labels
    folds = assign_folds(labels, units, 5, seed=3)
    assert len({*folds[[0, 1, 45, 69]]}) == 1
    for label, count in ((0, 8), (1, 4), (2, 2)):
        counts = np.bincount(folds[labels == label], minlength=5)
        assert abs(counts - count).max() <= 2
    np.testing.assert_array_equal(folds, assign_folds(labels, units, 5, seed=3))
    assert (folds != assign_folds(labels, units, 5, seed=4)).any()


def test_more_folds_than_different_images_are_refused():
    with pytest.raises(UserError, match=r"--folds 3: expected as many .*, found 2"):
        assign_folds(np.array([0, 1, 1]), np.array([0, 1, 1]), 3, seed=0)


def test_each_image_is_judged_once_a_kind_and_never_by_a_network_that_trained_on_it():
    rows = np.arange(5, 95)
    tasks = plan_folds(["a", "b"], rows, rows % 3, rows, folds=4, seed=7)
    assert len({task.name for task in tasks}) == 8
    for kind in ("a", "b"):
        judged = np.concatenate([task.judged for task in tasks if task.kind == kind])
        np.testing.assert_array_equal(np.sort(judged), rows)
    for task in tasks:
        assert not set(task.trained) & set(task.judged)
        assert set(task.trained) | set(task.judged) == set(rows)


def test_test_images_are_judged_by_networks_that_trained_on_all_others():
    first, second = plan_test(["a"], np.arange(9), np.arange(9, 12), networks=2, seed=1)
    assert first.seed != second.seed
    assert first.name != second.name
    assert [*second.trained] == [*range(9)]
    assert [*second.judged] == [9, 10, 11]


@pytest.mark.parametrize("shape", [(28, 28), (12, 10), (3, 200)])
def test_the_audits_network_fits_images_of_any_size(shape):
    kinds = choose_kinds("light", None, of_test=True, image_shape=shape)
    assert len(kinds) == 3
    for block in [kind.model.cnn for kind in kinds.values() if kind.model.name == "cnn"]:
        refuse_small_images(shape, block.kernels, block.strides)  # raises if it does not


@pytest.mark.parametrize(
    ("colour", "shape", "side"), [("rgb", (64, 48, 3), 128), ("rgb", (90, 224, 3), 224)]
)
def test_pictures_are_judged_by_features_that_fit_them(colour, shape, side):
    assert choose_network(SimpleNamespace(colour=colour)) == "features"
    assert choose_network(SimpleNamespace(colour="grey")) == "light"
    (kind,) = choose_kinds("features", None, of_test=False, image_shape=shape).values()
    assert (kind.model.name, kind.model.pretrained.tuned_blocks) == ("pretrained", 0)
    assert kind.model.pretrained.side == side


@pytest.mark.parametrize("images", [9, 200, 3_000, 48_000, 1_000_000])
def test_few_images_get_more_epochs(images):
    for kind in choose_kinds("light", None, of_test=True, image_shape=(28, 28)).values():
        epochs = choose_epochs(kind, images)
        assert epochs * -(-images // choose_batch_size(kind, images)) >= FEWEST_UPDATES
        assert choose_epochs(kind, 48_000) == kind.epochs


# Near-duplicates


def random_images(count: int, shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(12, 10), (40, 33), (24, 24, 3)])
def test_the_nearest_image_is_that_of_all_pairs(monkeypatch, shape):
    """Also where pairs are compared block by block."""
    for name, size in {"QUERIES": 7, "REFERENCES": 11, "BLOCK_IMAGES": 5}.items():
        monkeypatch.setattr(near_duplicates, name, size)
    queries, references = random_images(30, shape, 1), random_images(50, shape, 2)
    copies = {3: 49, 8: 0, 29: 20}
    for query, reference in copies.items():  # darker, and with noise
        noise = random_images(1, shape, query)[0] // 16
        queries[query] = references[reference] // 2 + noise
    found = find_nearest_images(queries, references)
    flat = [each.reshape(len(each), -1).astype(float) for each in (queries, references)]
    correlations = np.corrcoef(*flat)[:30, 30:]
    np.testing.assert_allclose(
        found.similarity, correlations[np.arange(30), found.reference], atol=1e-5
    )
    assert {query: found.reference[query] for query in copies} == copies
    assert [*np.flatnonzero(found.similarity > 0.97)] == sorted(copies)


def test_a_constant_image_is_like_none():
    images = random_images(4, (8, 8), 0)
    images[2] = 7
    found = find_nearest_images(images, images)
    np.testing.assert_allclose(found.similarity, [1, 1, 0, 1], atol=1e-6)


# Corrections


def correction(digit: str, old: str, new: str, reason: str = "") -> Correction:
    return Correction(digit * 64, old, new, reason)


def test_merged_corrections_are_sorted_and_none_is_lost(tmp_path: Path):
    kept = [correction("b", "left", "right", "by eye"), correction("a", "left", "", 'a "b", c\nd')]
    added = [
        correction("c", "right", "left", "new"),
        correction("b", "left", "right", "again"),
        correction("b", "right", "left", "another old label"),
    ]
    merged = merge_corrections(kept, added, "a file")
    assert merged == [kept[1], kept[0], added[2], added[0]]
    path = tmp_path / "corrections.csv"
    write_corrections(path, merged)
    assert [*read_corrections(path, CLASSES).values()] == merged


def test_contradictions_are_refused_and_named():
    kept = [correction("a", "left", "right"), correction("b", "left", "")]
    added = [correction("a", "left", ""), correction("b", "left", "middle")]
    with pytest.raises(UserError, match="mine contradicts corrections that are there") as refused:
        merge_corrections(kept, added, "mine")
    assert f"{'a' * 64} as 'left': 'right' before, dropped now" in str(refused.value)
    assert f"{'b' * 64} as 'left': dropped before, 'middle' now" in str(refused.value)
