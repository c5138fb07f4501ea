"""What every figure looks like, whatever the user has set for matplotlib elsewhere."""

import matplotlib as mpl
import seaborn as sns

from stages.plots.names import FONT


def use_style() -> None:
    """Set the defaults of matplotlib and seaborn that the figures rely on."""
    mpl.rcdefaults()  # not those of a matplotlibrc
    sns.set_theme(style="ticks", font=FONT)
