"""python predict.py IMAGE ...: what does an image show? --help says more.

Needs the packages of requirements.txt: python -m pip install --requirement requirements.txt
"""

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGES = ("onnxruntime", "numpy", "PIL")


def main() -> None:
    for package in PACKAGES:
        if importlib.util.find_spec(package) is None:
            sys.exit(
                f"predict: the Python at {sys.executable} lacks the package '{package}': "
                f"python -m pip install --requirement {HERE / 'requirements.txt'}"
            )
    sys.path.insert(0, str(HERE / "program"))
    from tools.predict import main as predict  # noqa: PLC0415

    predict(HERE)


if __name__ == "__main__":
    main()
