"""compare's statistics against published examples and, seeded, the truth of simulations."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from tools.compare.statistics import (
    bootstrap_estimate,
    holm,
    mcnemar,
    paired_shares,
    resampled_means,
    welch,
)
from tools.compare.verdicts import BETTER, LEVEL, SAME, WORSE, verdict

IMAGES, PAIRS = 10_000, 1_000


@pytest.mark.parametrize(
    ("difference", "p", "higher_is_better", "said"),
    [
        (0.01, 0.049, True, BETTER),
        (0.01, 0.049, False, WORSE),
        (-0.01, 0.049, True, WORSE),
        (-0.01, 0.049, False, BETTER),
        (0.01, 0.05, True, SAME),
        (0.01, None, True, SAME),
        (0.0, 0.0, True, SAME),
    ],
)
def test_the_verdict_knows_which_direction_is_good(
    difference: float, p: float | None, higher_is_better: bool, said: str
) -> None:
    assert verdict(difference, p, higher_is_better) == said


def test_mcnemar_on_airway_hyper_responsiveness() -> None:
    """Fagerland, Lydersen, Laake (BMC Med. Res. Methodology 13:91, 2013), data of table 1."""
    assert mcnemar(1, 7) == pytest.approx(0.0703, abs=5e-5)
    assert mcnemar(7, 1) == mcnemar(1, 7)


def test_mcnemar_by_hand() -> None:
    """Lady tasting: of five discordant images all are B's: 2 of the 32 equally likely outcomes."""
    assert mcnemar(5, 0) == pytest.approx(2 / 32)
    assert mcnemar(0, 0) == 1
    assert mcnemar(3, 3) == 1


def test_paired_shares_on_airway_hyper_responsiveness() -> None:
    """As Fagerland, Lydersen and Laake have it for these data (Statistics in Medicine 33, 2014)."""
    estimate = paired_shares(1, 7, 21)
    assert estimate.low == pytest.approx(-0.517, abs=5e-4)
    assert estimate.high == pytest.approx(-0.026, abs=5e-4)
    assert estimate.p == pytest.approx(0.0339, abs=5e-5)  # z = 6 / sqrt(8)


@given(fixed=st.integers(0, 60), broken=st.integers(0, 60), others=st.integers(0, 5000))
def test_interval_and_p_value_of_paired_shares_agree(fixed: int, broken: int, others: int) -> None:
    count = fixed + broken + others
    assume(count > 0)
    estimate = paired_shares(fixed, broken, count)
    assert -1 <= estimate.low <= estimate.difference <= estimate.high <= 1
    assert estimate.p is not None
    if abs(estimate.p - LEVEL) > 1e-6:
        assert (estimate.p < LEVEL) == (estimate.low > 0 or estimate.high < 0)
    mirrored = paired_shares(broken, fixed, count)
    assert mirrored.p == pytest.approx(estimate.p)
    assert mirrored.low == pytest.approx(-estimate.high, abs=1e-9)


@pytest.mark.parametrize(
    ("count", "share_fixed", "share_broken"),
    [(300, 0.01, 0.006), (300, 0.03, 0.01), (1000, 0.01, 0.006), (10_000, 0.006, 0.004)],
)
def test_intervals_of_paired_shares_cover_the_truth_in_small_test_sets(
    count: int, share_fixed: float, share_broken: float
) -> None:
    shares = [share_fixed, share_broken, 1 - share_fixed - share_broken]
    draws = np.random.default_rng(0).multinomial(count, shares, size=1000)
    truth = share_fixed - share_broken
    covered = [
        estimate.low <= truth <= estimate.high
        for fixed, broken, _ in draws.tolist()
        for estimate in [paired_shares(fixed, broken, count)]
    ]
    assert 0.93 <= np.mean(covered) <= 0.99


def test_holm_by_hand() -> None:
    """Times 4, 3, 2, 1 in order of size, and never less than the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == [1, 1]


def test_welch_on_students_sleep_data() -> None:
    """Student (Biometrika 6, 1908); values as in R's documentation of t.test, data set sleep."""
    a = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    b = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    estimate = welch(a, b)
    assert estimate.difference == pytest.approx(2.33 - 0.75)
    assert estimate.p == pytest.approx(0.07939, abs=5e-6)
    assert (estimate.low, estimate.high) == pytest.approx((-0.2054832, 3.3654832), abs=1e-6)


def test_welch_says_nothing_without_a_spread() -> None:
    assert welch([0.9, 0.9], [0.8, 0.8]).p is None
    one = welch([0.9, 0.9, 0.9], [0.81, 0.80, 0.82])
    assert one.p == pytest.approx(0.0041, abs=5e-5)  # t = 15.59 with 2 degrees of freedom


def test_bootstrap_of_the_mouse_data() -> None:
    """Efron and Tibshirani, An Introduction to the Bootstrap (1993), table 2.1: 23.36."""
    survival = np.array([94, 197, 16, 38, 99, 141, 23], np.float64)  # days
    (means,) = resampled_means([survival[:, None]], np.random.default_rng(0), resamples=50_000)
    assert means.std() == pytest.approx(23.36, rel=0.02)


@pytest.mark.parametrize("dense_below", [0, 300], ids=["sparse", "dense"])
def test_resampled_tables_see_the_same_draws(
    dense_below: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.compare.statistics.SPARSE_FROM", dense_below)
    column = np.random.default_rng(1).integers(0, 9, size=(500, 1)).astype(float)
    tables = [np.hstack([column, 2 * column]), csr_array(column)]
    means, of_sparse = resampled_means(tables, np.random.default_rng(0), 100)
    np.testing.assert_allclose(2 * means[:, 0], means[:, 1], atol=1e-6)
    np.testing.assert_array_equal(means[:, :1], of_sparse)
    again, _ = resampled_means(tables, np.random.default_rng(0), 100)
    np.testing.assert_array_equal(means, again)


def test_resampling_in_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many draws fit into memory at once, each has as many images as there are."""
    monkeypatch.setattr("tools.compare.statistics.BLOCK", 1_000)
    (means,) = resampled_means([np.ones((400, 1))], np.random.default_rng(0), 7)
    np.testing.assert_array_equal(means, np.ones((7, 1)))


@pytest.mark.parametrize("shift", np.linspace(-0.3, 0.3, 13))
def test_interval_and_p_value_of_the_bootstrap_agree(shift: float) -> None:
    column = shift + np.random.default_rng(2).normal(size=(200, 1))
    resampled = resampled_means([column], np.random.default_rng(0))[0][:, 0]
    estimate = bootstrap_estimate(float(column.mean()), resampled)
    assert estimate.p is not None
    assert (estimate.p < LEVEL) == (estimate.low > 0 or estimate.high < 0)


def called_different(fixed_share: float, broken_share: float) -> float:
    """The share of simulated pairs of models that McNemar's test tells apart.

    The shares are those of images that only B, and that only A, is right for: most images both
    are right or wrong about, as with two runs of a network.
    """
    random = np.random.default_rng(0)
    shares = [fixed_share, broken_share, 1 - fixed_share - broken_share]
    counts = random.multinomial(IMAGES, shares, size=PAIRS)[:, :2]
    return float(np.mean([mcnemar(int(fixed), int(broken)) < LEVEL for fixed, broken in counts]))


def test_models_of_equal_accuracy_are_seldom_called_different() -> None:
    """Two runs disagree on about 1.2 % of the images. The exact test stays below its 5 %."""
    assert 0.03 <= called_different(0.006, 0.006) <= 0.06


def test_a_difference_of_one_point_is_seen() -> None:
    assert called_different(0.016, 0.006) >= 0.99


def test_bootstrap_intervals_cover_the_truth() -> None:
    """Of two models' difference in accuracy and in loss, 600 times, on 1,000 images each time."""
    random = np.random.default_rng(0)
    runs, images = 600, 1_000
    accuracy, loss = 0.02, -0.01  # B's true advantage
    covered = np.zeros(2)
    for _ in range(runs):
        hit = random.choice(
            [1, -1, 0], size=images, p=[0.06 + accuracy / 2, 0.06 - accuracy / 2, 0.88]
        )
        surprise = loss + random.exponential(0.2, images) - random.exponential(0.2, images)
        columns = np.stack([hit, surprise], axis=1)
        (resampled,) = resampled_means([columns], random, resamples=500)
        for number, truth in enumerate((accuracy, loss)):
            estimate = bootstrap_estimate(columns[:, number].mean(), resampled[:, number])
            covered[number] += estimate.low <= truth <= estimate.high
    assert (covered / runs >= 0.93).all()
    assert (covered / runs <= 0.97).all()


def test_recipes_that_are_alike_are_seldom_called_different() -> None:
    """Five runs of each of two recipes, the spread of one three times the other's."""
    random = np.random.default_rng(0)
    a = random.normal(0.98, 0.001, (PAIRS, 5))
    b = random.normal(0.98, 0.003, (PAIRS, 5))
    p_values = [welch(list(x), list(y)).p for x, y in zip(a, b, strict=True)]
    assert 0.03 <= np.mean([p is not None and p < LEVEL for p in p_values]) <= 0.06
