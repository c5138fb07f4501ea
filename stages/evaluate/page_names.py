"""Class names in the reports that DVC's plots page shows."""

import re


def keep_from_markup(name: str) -> str:
    r"""The name with a word joiner (U+2060), which nobody sees, after each < and {.

    DVC writes these reports into a <script> of the plots page without escaping them, then fills
    in {refresh_tag}: no tag and no placeholder must begin in a name. The page takes the joiners
    out again (.dvc/plots/page.html); whoever else needs the very names has dataset.yaml.
    """
    return re.sub("[<{]", "\\g<0>\u2060", name)
