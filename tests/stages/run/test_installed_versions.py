"""The versions of installed libraries, TensorFlow's in both of its packages."""

from importlib.metadata import PackageNotFoundError, version

import pytest

from stages.run import versions


def installed(monkeypatch: pytest.MonkeyPatch, **packages: str) -> None:
    def find(name: str) -> str:
        if name.replace("-", "_") not in packages:
            raise PackageNotFoundError(name)
        return packages[name.replace("-", "_")]

    monkeypatch.setattr(versions, "version", find)


@pytest.mark.parametrize("name", ["tensorflow", "tensorflow-cpu"])
@pytest.mark.parametrize("package", ["tensorflow", "tensorflow_cpu"])
def test_tensorflow_is_found_under_either_name(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    installed(monkeypatch, **{package: "2.21.0"})
    assert versions.installed_version(name) == "2.21.0"


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, keras="3")
    with pytest.raises(PackageNotFoundError, match="tensorflow"):
        versions.installed_version("tensorflow-cpu")


def test_other_packages_have_their_own() -> None:
    assert versions.installed_version("numpy") == version("numpy")
