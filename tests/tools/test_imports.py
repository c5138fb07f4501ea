"""Which files a stage's code consists of, and which Python files of its folder do not belong."""

from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from tools.shared.imports import reached_files, stray_modules

MAIN = """
import json
import stages.one.plain
from stages.one import from_package
from stages.one.names import function
from stages.shared.values import (
    CONSTANT,
)
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stages.one.types_alone import Kind
else:
    from stages.one.at_run_time import Kind

def main():
    from stages.one.late import work

    class Inner:
        import stages.one.later as later
    try:
        from stages.one.tried import other
    except ImportError:
        from stages.one.instead import other
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pipeline of two stages: one's code stands in MAIN, two's is a main that imports nothing."""
    write(tmp_path, "stages/one/main.py", MAIN)
    write(tmp_path, "stages/two/main.py", "")
    packages = ("stages", "stages/one", "stages/two", "stages/shared")
    modules = (
        *("plain", "from_package", "names", "types_alone", "at_run_time"),
        *("late", "later", "tried", "instead"),
    )
    for path in [
        *(f"{package}/__init__.py" for package in packages),
        *(f"stages/one/{module}.py" for module in modules),
        "stages/shared/values.py",
    ]:
        write(tmp_path, path, "")
    pipeline = {"stages": {name: {"cmd": f"run {name}"} for name in ("one", "two")}}
    write(tmp_path, "dvc.yaml", yaml.safe_dump(pipeline))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def names_in(files: set[Path], folder: str) -> set[str]:
    return {file.stem for file in files if file.parent == Path(folder)}


def test_every_form_of_an_import_counts_and_types_do_not(folder: Path) -> None:
    files = reached_files("one")
    assert names_in(files, "stages/one") == {
        *("__init__", "main", "plain", "from_package", "names", "at_run_time"),
        *("late", "later", "tried", "instead"),
    }
    assert names_in(files, "stages/shared") == {"__init__", "values"}
    assert Path("stages/__init__.py") in files


@pytest.mark.parametrize("test", ["TYPE_CHECKING", "typing.TYPE_CHECKING"])
def test_an_import_for_types_alone_is_none(folder: Path, test: str) -> None:
    write(folder, "stages/two/kinds.py", "")
    write(folder, "stages/two/main.py", f"if {test}:\n    from stages.two.kinds import Kind\n")
    assert names_in(reached_files("two"), "stages/two") == {"__init__", "main"}


def test_an_import_at_run_time_alone_is_one(folder: Path) -> None:
    write(folder, "stages/two/work.py", "")
    text = "if not TYPE_CHECKING:\n    from stages.two.work import x\n"
    write(folder, "stages/two/main.py", text)
    assert "work" in names_in(reached_files("two"), "stages/two")


def test_relative_imports_count(folder: Path) -> None:
    for name in ("near", "named"):
        write(folder, f"stages/two/{name}.py", "")
    text = "from . import near\nfrom .named import x\nfrom ..shared.values import y\n"
    write(folder, "stages/two/main.py", text)
    files = reached_files("two")
    assert names_in(files, "stages/two") == {"__init__", "main", "near", "named"}
    assert "values" in names_in(files, "stages/shared")


def test_imports_are_followed_and_may_go_in_circles(folder: Path) -> None:
    write(folder, "stages/one/late.py", "from stages.one.deep import x\n")
    write(folder, "stages/one/deep.py", "import stages.one.main\nfrom stages.two import main\n")
    files = reached_files("one")
    assert "deep" in names_in(files, "stages/one")
    assert names_in(files, "stages/two") == {"__init__", "main"}


def test_what_a_package_imports_counts(folder: Path) -> None:
    write(folder, "stages/shared/__init__.py", "from stages.shared.hidden import x\n")
    write(folder, "stages/shared/hidden.py", "")
    assert "hidden" in names_in(reached_files("one"), "stages/shared")


def test_what_is_called_before_main_counts(folder: Path) -> None:
    write(folder, "stages/two/environment.py", "from stages.two.threads import count\n")
    write(folder, "stages/two/threads.py", "")
    found = names_in(reached_files("two"), "stages/two")
    assert found == {"__init__", "main", "environment", "threads"}


def test_a_name_that_is_no_module_and_other_packages_are_passed_over(folder: Path) -> None:
    text = "from stages.two import VALUE\nimport numpy.linalg\nfrom stages.gone import x\n"
    write(folder, "stages/two/main.py", text)
    assert names_in(reached_files("two"), "stages/two") == {"__init__", "main"}


def test_a_python_file_that_no_import_reaches_is_stray(folder: Path) -> None:
    assert list(stray_modules()) == [("one", Path("stages/one/types_alone.py"))]
    for name in ("copy_of_main.py", ".hidden.py", "main.py~", "notes.txt", "inner/deep.py"):
        write(folder, f"stages/two/{name}", "")
    assert list(stray_modules()) == [
        ("one", Path("stages/one/types_alone.py")),
        ("two", Path("stages/two/copy_of_main.py")),
    ]


def test_this_project_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert list(stray_modules()) == []
