"""What every figure looks like."""

import seaborn as sns


def use_style() -> None:
    """Set the defaults of matplotlib and seaborn that the figures rely on."""
    sns.set_theme(style="ticks")
