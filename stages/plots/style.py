"""What every figure looks like, whatever the user has set for matplotlib elsewhere."""

import matplotlib as mpl
import seaborn as sns

FONT = "DejaVu Sans"  # comes with matplotlib: the same letters on every machine


def use_style() -> None:
    """Set the defaults of matplotlib and seaborn that the figures rely on."""
    mpl.rcdefaults()  # not those of a matplotlibrc
    sns.set_theme(style="ticks", font=FONT)
