"""python -m tools.plots_bundle: write Vega where the plots page looks, to draw without a network.

A classic script, not a module: a page opened from disk may load no modules.
"""

from importlib.metadata import version
from pathlib import Path

import vl_convert

from stages.shared.atomic_write import atomic_write

BUNDLE = Path(".dvc/tmp/vega-bundle.js")  # .dvc/plots/page.html looks for it; Git ignores it
HEAD = f"// From vl-convert-python {version('vl-convert-python')}\n".encode()
TAIL = b"// Complete\n"


def main() -> None:
    if is_whole(BUNDLE):
        return
    code = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    with atomic_write(BUNDLE) as file:
        # In a function, so that none of Vega's names meets one of the page.
        file.write(HEAD + f"(() => {{\n{code}\n}})();\n".encode() + TAIL)


def is_whole(bundle: Path) -> bool:
    """Whether the file is there, of the installed version and with its end."""
    content = bundle.read_bytes() if bundle.exists() else b""
    return content.startswith(HEAD) and content.endswith(TAIL)


if __name__ == "__main__":
    main()
