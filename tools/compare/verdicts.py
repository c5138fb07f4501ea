"""What is said of B: better, worse, or no evidence of either."""

LEVEL = 0.05  # a difference is believed if chance alone gives one as large less often than this

BETTER, WORSE, SAME = "better", "worse", "no evidence of a difference"


def verdict(difference: float, p: float | None, higher_is_better: bool) -> str:
    """What is said of B. An undefined p is no evidence."""
    if difference == 0 or p is None or p >= LEVEL:
        return SAME
    return BETTER if (difference > 0) == higher_is_better else WORSE
