#!/bin/sh
# Makes .venv with $PYTHON, or says in one line what the machine lacks.
python=${PYTHON:-python3}

refuse() {
    echo "set-up: $*" >&2
    exit 1
}

command -v git >/dev/null || refuse "git is not installed (Debian: apt-get install git)"
git rev-parse --git-dir >/dev/null 2>&1 || refuse "expected a git clone; DVC needs one"
command -v "$python" >/dev/null || refuse "$python is not installed; name another: make PYTHON=python3.12"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || refuse "$python does not start"
case $version in
3.11 | 3.12 | 3.13) ;;
*) refuse "$python is Python $version, expected 3.11 to 3.13; name another: make PYTHON=python3.12" ;;
esac
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    refuse "$python lacks the module venv (Debian: apt-get install python3-venv)"
[ -x .venv/bin/python ] || {
    echo "set-up: .venv with Python $version; the packages take some minutes"
    "$python" -m venv .venv || refuse "could not make .venv"
}
