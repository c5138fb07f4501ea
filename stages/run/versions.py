"""The versions of the libraries that are installed."""

from importlib.metadata import PackageNotFoundError, version

# Two packages of one library: the second lacks the GPU's code (`make gpu` brings the first).
TENSORFLOW = ("tensorflow", "tensorflow-cpu")


def installed_version(package: str) -> str:
    """Raises PackageNotFoundError if it is not installed, in neither form."""
    if package not in TENSORFLOW:
        return version(package)
    for name in TENSORFLOW:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    raise PackageNotFoundError(package)
