#!/bin/sh
# tools/make_venv.sh NAME ...: installs requirements/NAME.txt into .venv and sets DVC's site cache,
# from whatever state .venv is in, or says in one line what the machine lacks.
# Neither these nor a random.py beside dvc.yaml (hence -I below) may reach Python.
unset PYTHONHOME PYTHONPATH PYTHONSAFEPATH PYTHONWARNINGS
here=$(pwd -P)
venv=$here/.venv

refuse() {
    echo "set-up: $*" >&2
    exit 1
}

# Whether it is finished, its Python starts and it was made here: its scripts name its path. The
# last that Python writes are pip's scripts, then `activate`.
is_whole() {
    [ -e .venv/bin/activate ] && .venv/bin/python -c '' 2>/dev/null &&
        head -n 2 .venv/bin/pip 2>/dev/null |
        grep -qF -e "#!$venv/bin/" -e "\"$venv/bin/" -e " $venv/bin/"
}

identity() {
    "$1" -c 'import sys; print(sys.base_prefix, sys.version)' 2>/dev/null
}

# Makes it anew; the argument ends the line that says so.
make_venv() {
    command -v "$python" >/dev/null ||
        refuse "$python is not installed; name another: make PYTHON=python3.12"
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') ||
        refuse "$python does not start"
    case $version in
    3.11 | 3.12 | 3.13) ;;
    *) refuse "$python is Python $version, expected 3.11 to 3.13; name another: make PYTHON=python3.12" ;;
    esac
    "$python" -I -c 'import ensurepip, venv' 2>/dev/null ||
        refuse "$python lacks the module venv (Debian: apt-get install python3-venv)"
    echo "set-up: .venv with Python $version$1"
    # --clear empties the folder: it may be a mounted one, which cannot be removed
    "$python" -I -m venv --clear .venv || refuse "could not make .venv; remove it: rm -rf .venv"
}

# tensorflow-cpu, which the locked files name for this kind of machine, and tensorflow are one folder
# of packages: the one that is installed over the other would share its files.
remove_other_tensorflow() {
    [ "$(uname -sm)" = "Linux x86_64" ] || return 0
    for package in .venv/lib/python*/site-packages/tensorflow-[0-9]*.dist-info; do
        [ ! -e "$package" ] ||
            .venv/bin/python -I -m pip uninstall --quiet --yes tensorflow tensorflow-cpu
    done
}

# Installs a file of requirements unless that is done.
install() {
    file=requirements/$1.txt
    case $1 in
    pipeline) stamp=.venv/installed ;;
    *) stamp=.venv/installed-$1 ;;
    esac
    [ -e "$stamp" ] && [ ! "$file" -nt "$stamp" ] && return
    # pip writes INSTALLER when all else of a package is there. An interrupted one lacks it, and pip
    # would take the package for installed.
    for package in .venv/lib/python*/site-packages/*.dist-info; do
        [ -e "$package/INSTALLER" ] || rm -rf "$package"
    done
    ! grep -q '^tensorflow' "$file" || remove_other_tensorflow
    echo "set-up: packages of $file, some 2 GB: 2 to 10 minutes, pip says nothing meanwhile"
    hashes=$(grep -q -e '--hash=' "$file" && echo --require-hashes)
    .venv/bin/python -I -m pip install --quiet --disable-pip-version-check --no-compile $hashes \
        -r "$file" || refuse "pip could not install $file; make again once its reason is gone"
    # pip would compile on one core, and the packages' tests as well. A few files that are no Python
    # of this version are left.
    .venv/bin/python -I -m compileall -qq -j 0 -x '/(tests?|pip|setuptools)/' .venv/lib || true
    touch "$stamp"
    [ -z "$hashes" ] || touch .venv/installed # every locked file has the pipeline's packages
}

# DVC's default is a folder that every user of the machine can write to (CVE-2025-69872), and DVC
# makes any such folder mode 777. The path is this machine's, so it stands in the file that Git
# ignores. `dvc config` writes ASCII alone.
set_site_cache() {
    mkdir -p .dvc/tmp/site && chmod 700 .dvc/tmp/site || refuse "no access to .dvc/tmp/site"
    grep -qsF "site_cache_dir = $here/.dvc/tmp/site" .dvc/config.local && return
    .venv/bin/python -I -X utf8 - "$here/.dvc/tmp/site" <<'END' || exit 1
import sys
from configobj import ConfigObj, ConfigObjError

try:
    config = ConfigObj(".dvc/config.local", encoding="utf-8")
    config.setdefault("core", {})["site_cache_dir"] = sys.argv[1]
    config.write()
except (OSError, ConfigObjError) as error:
    sys.exit(f"set-up: .dvc/config.local: {error}")
END
}

command -v git >/dev/null || refuse "git is not installed (Debian: apt-get install git)"
words=$(git rev-parse --git-dir 2>&1) || refuse "expected a git clone, which DVC needs; git says:
$words"
python=${PYTHON:-python3}
# The Makefile puts .venv/bin first on the PATH, but .venv is not made with its own Python.
PATH=$(printf %s "$PATH" | tr : '\n' | grep -vxF "$venv/bin" | paste -sd : -)
if ! is_whole; then
    [ ! -e .venv/bin ] || old="; the old one is unfinished or was made elsewhere"
    make_venv "${old-}"
elif [ -n "$PYTHON" ] && [ "$(identity "$python")" != "$(identity .venv/bin/python)" ]; then
    make_venv "; the old one has another"
fi
for name; do
    install "$name"
done
set_site_cache
