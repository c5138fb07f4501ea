"""`make` sets up from each state that a folder can be in, or says in one line what to do.

Python and pip are stand-ins: .venv has a real Python, and a pip that writes down what it is asked.
"""

import contextlib
import os
import platform
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from conftest import ROOT
from dvc.config import Config

fault = partial(pytest.mark.fault, heading="Set-up")

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PACKAGES = f"lib/python{PYTHON}/site-packages"

# `python -m venv --clear .venv` without the download-free but slow installation of pip.
STAND_IN = """#!/bin/sh
[ "$1 $2 $3" = "-I -m venv" ] || exec '{python}' "$@"
[ -z "$BROKEN_VENV" ] || exit 1
'{python}' -m venv --clear --without-pip .venv
mkdir .venv/{packages}/pip
: > .venv/{packages}/pip/__init__.py
cp '{pip}' .venv/{packages}/pip/__main__.py
echo '{site}' > .venv/{packages}/others.pth
printf "#!/bin/sh\\n'''exec' \\"%s/.venv/bin/python\\" ...\\n" "$(pwd -P)" > .venv/bin/pip
"""
PIP = """
import os, pathlib, sys
with open(".venv/pip.log", "a", encoding="utf-8") as log:
    print(*sys.argv[1:], file=log)
sys.exit(os.environ.get("BROKEN_PIP"))
"""


@dataclass
class Folder:
    """A clone in which `make` can set up; `log` is what pip was asked."""

    path: Path
    environment: dict[str, str]

    def set_up(self, *names: str, code: int = 0, **variables: str) -> str:
        command = ["sh", "tools/make_venv.sh", *(names or ["pipeline"])]
        return self.run(command, code, variables)

    def run(self, command: list[str], code: int, variables: dict[str, str]) -> str:
        done = subprocess.run(
            command, cwd=self.path, env=self.environment | variables, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert done.returncode == code, done.stdout
        return done.stdout

    def log(self) -> list[str]:
        path = self.path / ".venv/pip.log"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def moved(self, target: Path) -> "Folder":
        target.parent.mkdir(parents=True, exist_ok=True)
        return Folder(self.path.rename(target), self.environment)

    def site_cache(self) -> str:
        """The setting as DVC reads it."""
        settings = Config(str(self.path / ".dvc")).load_one("local")
        return str(settings["core"]["site_cache_dir"])

    def assert_whole(self) -> None:
        """Its Python starts, its scripts are its own, its packages and its site cache are there."""
        python = self.path / ".venv/bin/python"
        found = subprocess.run([python, "-c", "import sys; print(sys.prefix)"],
                               capture_output=True, text=True, check=True).stdout  # fmt: skip
        assert found.strip() == str(self.path / ".venv")
        assert f'"{self.path}/.venv/' in (self.path / ".venv/bin/pip").read_text(encoding="utf-8")
        assert (self.path / ".venv/bin/activate").exists()
        assert self.log()
        assert self.site_cache() == f"{self.path}/.dvc/tmp/site"
        assert stat.S_IMODE((self.path / ".dvc/tmp/site").stat().st_mode) == 0o700
        assert self.set_up() == ""


@pytest.fixture
def place(tmp_path: Path) -> Callable[[str], Folder]:
    """Makes a clone in a folder of that name."""

    def make(name: str) -> Folder:
        path = tmp_path / name
        for part in ("tools", "requirements", ".dvc"):
            (path / part).mkdir(parents=True)
        shutil.copy(ROOT / "Makefile", path)
        shutil.copy(ROOT / "tools/make_venv.sh", path / "tools")
        for each in ("pipeline", "dev", "bench"):
            text = "torch" if each == "bench" else "tensorflow==1 --hash=sha256:00"
            (path / f"requirements/{each}.txt").write_text(text, encoding="utf-8")
        subprocess.run(["git", "init", "--quiet", "--template=", path], check=True)
        binaries = tmp_path / "binaries"
        binaries.mkdir()
        (binaries / "pip").write_text(PIP, encoding="utf-8")
        (binaries / "python3").write_text(
            STAND_IN.format(
                python=sys.executable, packages=PACKAGES, pip=binaries / "pip",
                site=sysconfig.get_path("purelib"),
            ),
            encoding="utf-8",
        )  # fmt: skip
        (binaries / "python3").chmod(0o755)
        return Folder(path, {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"})

    return make


@pytest.fixture
def folder(place: Callable[[str], Folder]) -> Folder:
    return place("clone")


@pytest.fixture
def finished(folder: Folder) -> Folder:
    """A clone that is set up."""
    folder.set_up()
    return folder


# The first time, and the next


def test_the_first_time_says_what_takes_long_and_the_next_says_nothing(folder: Folder) -> None:
    lines = folder.set_up().splitlines()
    assert lines[0] == f"set-up: .venv with Python {PYTHON}"
    assert lines[1].startswith("set-up: packages of requirements/pipeline.txt")
    assert "minutes" in lines[1]
    folder.assert_whole()
    (asked,) = folder.log()
    assert asked.endswith("--require-hashes -r requirements/pipeline.txt")


def test_more_packages_are_added_to_those_there(finished: Folder) -> None:
    assert "requirements/dev.txt" in finished.set_up("dev")
    assert finished.set_up("pipeline", "dev") == ""
    assert len(finished.log()) == 2


def test_tests_packages_have_the_pipelines_among_them(folder: Folder) -> None:
    folder.set_up("dev")
    assert folder.set_up("pipeline") == ""


def test_packages_without_hashes_are_installed_without(folder: Folder) -> None:
    folder.set_up("pipeline", "bench")
    assert "--require-hashes" not in folder.log()[1]


def test_other_requirements_are_installed(finished: Folder) -> None:
    os.utime(finished.path / "requirements/pipeline.txt", (2e9, 2e9))
    assert "requirements/pipeline.txt" in finished.set_up()
    assert len(finished.log()) == 2


# Moved


@fault(
    done="The project moved, then `make`",
    seen="; the old one is unfinished or was made elsewhere",
)
def test_a_moved_folder_is_set_up_again(finished: Folder, tmp_path: Path, seen: str) -> None:
    folder = finished
    for target in ("elsewhere", "below/clone", "clone of it", "clöne", "$HOME"):
        folder = folder.moved(tmp_path / target)
        assert seen in folder.set_up()
        folder.assert_whole()


def test_a_folder_moved_to_the_end_of_its_old_path_is_set_up_again(tmp_path: Path, place) -> None:
    """The old path contains the new one."""
    longer = place(f"x{tmp_path}")
    longer.set_up()
    moved = longer.moved(tmp_path / "clone")
    script = (moved.path / ".venv/bin/pip").read_text(encoding="utf-8")
    (moved.path / ".venv/bin/pip").write_text(
        script.replace(str(longer.path), f"/x{moved.path}"), encoding="utf-8"
    )
    assert "made elsewhere" in moved.set_up()
    moved.assert_whole()


def test_a_copy_does_not_use_the_originals_packages(finished: Folder, tmp_path: Path) -> None:
    shutil.copytree(finished.path, tmp_path / "copy", symlinks=True)
    copy = Folder(tmp_path / "copy", finished.environment)
    assert "made elsewhere" in copy.set_up()
    copy.assert_whole()
    finished.assert_whole()


# Interrupted


def remove(*names: str) -> Callable[[Path], None]:
    def damage(venv: Path) -> None:
        for name in names:
            if (venv / name).is_dir() and not (venv / name).is_symlink():
                shutil.rmtree(venv / name)
            else:
                (venv / name).unlink()

    return damage


def cut(name: str, content: bytes) -> Callable[[Path], None]:
    def damage(venv: Path) -> None:
        (venv / name).unlink()
        (venv / name).write_bytes(content)

    return damage


def break_python(venv: Path) -> None:
    """As when the system's Python was replaced by the next."""
    (venv / "bin/python").unlink()
    (venv / "bin/python").symlink_to("/nowhere/python3.11")


@pytest.mark.parametrize(
    "damage",
    [
        remove("bin", "lib", "pyvenv.cfg"),
        remove("bin"),
        remove("bin/python"),
        remove("bin/pip"),
        remove("bin/activate"),
        cut("bin/pip", b""),
        break_python,
        cut("bin/python", b"\x7fELF"),
    ],
    ids=["nothing", "no programs", "no python", "no pip", "no activate", "empty pip",
         "dangling python", "half a python"],
)  # fmt: skip
def test_an_interrupted_venv_is_made_again(finished: Folder, damage) -> None:
    damage(finished.path / ".venv")
    assert f"set-up: .venv with Python {PYTHON}" in finished.set_up()
    finished.assert_whole()


@fault(
    done="`kill -9` while pip installs, then `make`",
    seen="set-up: packages of requirements/pipeline.txt",
)
def test_an_interrupted_installation_goes_on(folder: Folder, seen: str) -> None:
    message = folder.set_up(code=1, BROKEN_PIP="1")
    assert "pip could not install requirements/pipeline.txt" in message
    assert seen in folder.set_up()
    assert len(folder.log()) == 2
    folder.assert_whole()


@fault(done="Ctrl-C while `.venv` is made, then `make`", seen="set-up: .venv with Python 3.1")
def test_an_interrupt_at_any_moment_heals(folder: Folder, seen: str) -> None:
    """A real signal to all that set up, each time a little later."""
    for hundredths in range(1, 60, 7):
        shutil.rmtree(folder.path / ".venv", ignore_errors=True)
        process = subprocess.Popen(
            ["sh", "tools/make_venv.sh", "pipeline"], cwd=folder.path, env=folder.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        time.sleep(hundredths / 100)
        with contextlib.suppress(ProcessLookupError):  # it was done
            os.killpg(process.pid, signal.SIGINT)
        process.wait()
        output = folder.set_up()
        assert not output or output.startswith("set-up: ")
        folder.assert_whole()
    shutil.rmtree(folder.path / ".venv")
    assert seen in folder.set_up()


def test_a_half_installed_package_is_installed_again(folder: Folder) -> None:
    folder.set_up(code=1, BROKEN_PIP="1")
    half, whole = (folder.path / f".venv/{PACKAGES}/{name}.dist-info" for name in ("a-1", "b-1"))
    for info in (half, whole):
        info.mkdir()
        (info / "METADATA").touch()
    (whole / "INSTALLER").touch()
    folder.set_up()
    assert not half.exists()
    assert whole.exists()


def test_the_other_tensorflow_is_taken_out_first(folder: Folder) -> None:
    """Tensorflow of an older .venv, beside the locked tensorflow-cpu: they share their files."""
    folder.set_up()
    old = folder.path / f".venv/{PACKAGES}/tensorflow-2.21.0.dist-info"
    old.mkdir()
    (old / "INSTALLER").touch()
    newer = folder.path / "requirements/pipeline.txt"
    os.utime(newer, (time.time() + 9, time.time() + 9))
    folder.set_up()
    asked = [line for line in folder.log() if "uninstall" in line]
    expected = "uninstall --quiet --yes tensorflow tensorflow-cpu"
    on_linux = (platform.system(), platform.machine()) == ("Linux", "x86_64")
    assert asked == ([expected] if on_linux else [])


def test_packages_without_tensorflow_leave_it_alone(folder: Folder) -> None:
    """After `make gpu`, say: nothing would bring it back."""
    folder.set_up()
    (folder.path / f".venv/{PACKAGES}/tensorflow-2.21.0.dist-info").mkdir()
    (folder.path / f".venv/{PACKAGES}/tensorflow-2.21.0.dist-info/INSTALLER").touch()
    folder.set_up("bench")
    assert [line for line in folder.log() if "uninstall" in line] == []


# Another Python


def other_python(folder: Folder, name: str, says: str) -> Path:
    """A Python beside python3 that says what it is; it makes a .venv as python3 does."""
    path = Path(folder.environment["PATH"].partition(os.pathsep)[0]) / name
    path.write_text(
        f"#!/bin/sh\ncase $2 in *base_prefix*) echo /other 3.x; exit ;; *version_info*) echo {says}"
        '; exit ;; esac\nexec python3 "$@"\n',
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path


@fault(done="`make PYTHON=...` beside a .venv of another Python", seen="; the old one has another")
def test_another_python_that_is_named_makes_venv_again(finished: Folder, seen: str) -> None:
    other_python(finished, "python-next", "3.13")
    output = finished.set_up(PYTHON="python-next")
    assert output.startswith(f"set-up: .venv with Python 3.13{seen}\n")
    finished.assert_whole()


def test_the_same_python_by_any_name_changes_nothing(finished: Folder) -> None:
    for name in ("python3", sys.executable, str(finished.path / ".venv/bin/python")):
        assert finished.set_up(PYTHON=name) == ""


def test_a_venv_needs_no_python_beside_its_own(finished: Folder) -> None:
    python = Path(finished.environment["PATH"].partition(os.pathsep)[0]) / "python3"
    python.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    assert finished.set_up() == ""


@pytest.mark.parametrize(
    ("name", "says", "message"),
    [
        ("python-old", "3.9", "python-old is Python 3.9, expected 3.11 to 3.13"),
        ("python-new", "4.0", "python-new is Python 4.0, expected 3.11 to 3.13"),
        ("python-none", None, "python-none is not installed; name another"),
    ],
)
def test_a_python_that_cannot_be_used_leaves_venv(
    finished: Folder, name: str, says: str | None, message: str
) -> None:
    if says:
        other_python(finished, name, says)
    output = finished.set_up(code=1, PYTHON=name)
    assert message in output
    assert len(output.splitlines()) == 1
    finished.assert_whole()


# Paths, rights, settings


@pytest.mark.parametrize("name", ["gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n", "日本", "a $HOME b",
                                  "$(id)", "it's", 'a "b"', "a;b", "a,b"])  # fmt: skip
def test_any_name_of_the_folder_will_do(place: Callable[[str], Folder], name: str) -> None:
    folder = place(name)
    folder.run(["make", "venv-pipeline"], 0, {"LC_ALL": "C"})
    assert folder.run(["make", "venv-pipeline"], 0, {}) == ""
    assert folder.site_cache() == f"{folder.path}/.dvc/tmp/site"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_site_cache_is_the_users_alone(folder: Folder, umask: int) -> None:
    before = os.umask(umask)
    try:
        (folder.path / ".dvc/tmp/site").mkdir(parents=True)  # as DVC makes it
        (folder.path / ".dvc/tmp/site").chmod(0o777)
        folder.set_up()
    finally:
        os.umask(before)
    folder.assert_whole()


def test_other_settings_of_the_user_stay(folder: Folder) -> None:
    (folder.path / ".dvc/config.local").write_text(
        "# mine\n[core]\n    site_cache_dir = /old/place\n    autostage = true\n"
        "['remote \"team\"']\n    url = /grün\n",
        encoding="utf-8",
    )
    folder.set_up()
    folder.assert_whole()
    text = (folder.path / ".dvc/config.local").read_text(encoding="utf-8")
    assert text.startswith("# mine\n[core]\n")
    assert "autostage = true\n['remote \"team\"']\n    url = /grün\n" in text


def test_a_damaged_setting_is_one_line(folder: Folder) -> None:
    (folder.path / ".dvc/config.local").write_text("[core\n", encoding="utf-8")
    output = folder.set_up(code=1)
    assert output.splitlines()[-1].startswith("set-up: .dvc/config.local: Invalid line")
    assert "Traceback" not in output


@fault(
    done="A broken .venv of another user",
    seen="set-up: could not make .venv; remove it: rm -rf .venv",
)
def test_a_venv_that_cannot_be_removed_is_named(finished: Folder, seen: str) -> None:
    (finished.path / ".venv/bin/pip").unlink()
    output = finished.set_up(code=1, BROKEN_VENV="as with another user's files")
    assert output.splitlines()[-1] == seen


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONSAFEPATH": "1", "PYTHONWARNINGS": "error"},
        {"PYTHONPATH": "/nowhere", "PYTHONHOME": "/nowhere"},
    ],
)
def test_pythons_own_variables_do_not_reach_the_set_up(
    folder: Folder, variables: dict[str, str]
) -> None:
    (folder.path / "random.py").write_text("raise SystemExit('shadow')\n", encoding="utf-8")
    folder.run(["make", "venv-pipeline"], 0, variables)
    folder.assert_whole()


@pytest.mark.parametrize(
    ("command", "script", "message"),
    [
        ("git", None, "git is not installed"),
        ("python3", None, "python3 is not installed"),
        ("python3", "echo 3.9", "is Python 3.9, expected 3.11 to 3.13"),
        (
            "python3",
            '[ "$3" = "import ensurepip, venv" ] && exit 1; echo 3.11',
            "lacks the module venv",
        ),
        ("python3", "exit 1", "python3 does not start"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    folder: Folder, tmp_path: Path, command: str, script: str | None, message: str
) -> None:
    path = tmp_path / "path"
    path.mkdir()
    for name in ("git", "python3", "sh", "tr", "grep", "paste", "head"):
        (path / name).symlink_to(shutil.which(name) or name)
    (path / command).unlink()
    if script:
        (path / command).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (path / command).chmod(0o755)
    output = folder.set_up(code=1, PATH=str(path))
    assert message in output
    assert len(output.splitlines()) == 1
