"""Is a difference more than chance? Pure functions of counts and arrays.

A difference is B's value less A's throughout. Every test is two-sided.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from scipy.stats import binomtest, ttest_ind

from tools.compare.verdicts import LEVEL

Numbers = npt.NDArray[np.floating[Any]]
Columns: TypeAlias = Any  # (images, columns), floats: an array or a sparse array of SciPy

NORMAL_LIMIT = 1.959963984540054  # of 95 % of a normal distribution, either way
RESAMPLES = 2_000  # enough for two digits of an interval
SPARSE_FROM = 300  # columns
BLOCK = 4_000_000  # numbers drawn at once: 32 MB


class Estimate(NamedTuple):
    """A difference, its 95 % interval, and how often chance alone gives one as large."""

    difference: float
    low: float
    high: float
    p: float | None  # None if it cannot be said


def mcnemar(fixed: int, broken: int) -> float:
    """The exact p value of McNemar's test for two classifiers on the same images.

    Of the images on which just one of them is right, `fixed` are B's and `broken` A's: equal
    accuracy makes each a toss of a fair coin (McNemar, Psychometrika 12, 1947; for classifiers
    Dietterich, Neural Computation 10, 1998). The exact test never cries wolf more often than
    LEVEL says. With 10,000 images and 1.2 % of them discordant it does so in 4.0 %, its mid-p
    variant in 4.9 % (Fagerland, Lydersen, Laake, BMC Medical Research Methodology 13:91, 2013).
    """
    return float(binomtest(fixed, fixed + broken).pvalue) if fixed + broken else 1.0


def paired_shares(fixed: int, broken: int, count: int) -> Estimate:
    """The difference of two classifiers' accuracy on the same `count` images, by one method.

    The p value is McNemar's score test of the `fixed` and `broken` images, the interval is
    Tango's, which inverts that test: it leaves out 0 just where p is below 0.05 (Tango, Statistics
    in Medicine 17, 1998; recommended together by Fagerland, Lydersen, Laake, Statistics in Medicine
    33, 2014). With 300 images and 1 to 4 % of them discordant it covers in 94 to 99 % of draws.
    """
    difference = (fixed - broken) / count
    p = math.erfc(abs(score_of_difference(fixed, broken, count, 0.0)) / math.sqrt(2))
    low, high = (
        solve_score(fixed, broken, count, limit) for limit in (NORMAL_LIMIT, -NORMAL_LIMIT)
    )
    return Estimate(difference, low, high, p)


def score_of_difference(fixed: int, broken: int, count: int, difference: float) -> float:
    """Tango's score statistic: how many standard errors the data are from a difference."""
    linear = -fixed - broken + (2 * count - fixed + broken) * difference
    constant = -broken * difference * (1 - difference)
    root = math.sqrt(max(0.0, linear**2 - 8 * count * constant))
    broken_share = (root - linear) / (4 * count)
    variance = count * (2 * broken_share + difference * (1 - difference))
    distance = fixed - broken - count * difference
    if variance <= 0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)


def solve_score(fixed: int, broken: int, count: int, score: float) -> float:
    """The difference with that score, by halving: the score falls as the difference rises."""
    low, high = -1.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if score_of_difference(fixed, broken, count, middle) > score:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrected p values of tests made together: LEVEL bounds the chance of any false alarm.

    S. Holm, A simple sequentially rejective multiple test procedure. Scand. J. Statist. 6, 1979.
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values)
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1)
    return [float(value) for value in adjusted]


def resampled_means(
    tables: Sequence[Columns], random: np.random.Generator, resamples: int = RESAMPLES
) -> list[npt.NDArray[np.float64]]:
    """Of each table (images, columns) the means (resamples, columns) over images drawn anew.

    They are drawn with replacement. All tables see the same draws: if they have the columns of two
    models, that makes a bootstrap a paired one.
    """
    count = tables[0].shape[0]
    narrow = [as_factor(table) for table in tables]
    rows = max(1, BLOCK // count)
    sums: list[list[Numbers]] = [[] for _ in tables]
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = random.integers(count, size=(size, count), dtype=np.int32)
        drawn += (np.arange(size, dtype=np.int32) * count)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        weights = times.astype(np.float32)
        for of_table, table in zip(sums, narrow, strict=True):
            of_table.append(weights @ table)
    return [np.concatenate(of_table).astype(np.float64) / count for of_table in sums]


def as_factor(table: Columns) -> Columns:
    """The table in float32, and dense if it is narrow: such a product is several times as fast."""
    factor = table.astype(np.float32)
    return factor.toarray() if issparse(table) and table.shape[1] < SPARSE_FROM else factor


def bootstrap_estimate(difference: float, resampled: Numbers) -> Estimate:
    """Percentile interval and p value from the differences (resamples,) of resampled images.

    p is the level at which the interval would just reach 0, so that both say the same
    (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, sections 13.3 and 15.4).
    """
    low, high = np.quantile(resampled, [LEVEL / 2, 1 - LEVEL / 2])
    tail = 1 + min(int((resampled <= 0).sum()), int((resampled >= 0).sum()))
    return Estimate(difference, float(low), float(high), min(1.0, 2 * tail / (len(resampled) + 1)))


def welch(a: Sequence[float], b: Sequence[float]) -> Estimate:
    """Welch's t test of two groups of runs, whose spreads may differ (Biometrika 34, 1947).

    Without any spread within the groups there is nothing to measure chance by: p is None.
    """
    difference = float(np.mean(b) - np.mean(a))
    if np.ptp(a) == 0 and np.ptp(b) == 0:
        return Estimate(difference, difference, difference, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # SciPy's, of one group without a spread
        test = ttest_ind(b, a, equal_var=False)
    interval = test.confidence_interval(1 - LEVEL)
    return Estimate(difference, float(interval.low), float(interval.high), float(test.pvalue))
