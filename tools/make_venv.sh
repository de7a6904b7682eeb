#!/bin/sh
# Make a virtual environment from a requirements file: make_venv.sh DIRECTORY REQUIREMENTS
# Says in one sentence what is missing, so that a fresh machine needs no reading of tracebacks. Done means DIRECTORY/.ready exists.
set -eu

venv=$1
requirements=$2
python=${PYTHON:-python3}

if ! command -v "$python" >/dev/null 2>&1; then
    echo "Curfew needs Python 3.11 or newer, and '$python' was not found. Install it, or name another: make setup PYTHON=python3.12" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Curfew needs Python 3.11 or newer, and '$python' is $("$python" -V 2>&1). Name another: make setup PYTHON=python3.12" >&2
    exit 1
fi

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    echo "'$python' cannot make a virtual environment: on Debian and Ubuntu run 'apt install python3-venv' (or python$version-venv), then again." >&2
    exit 1
fi

# An environment whose interpreter is gone, or is of another version, is made anew; a healthy one is only brought up to date.
if [ "$("$venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true)" != "$version" ]; then
    "$python" -m venv --clear "$venv"
fi
"$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip >/dev/null
rm -f "$venv/.ready"
echo "Installing $requirements into $venv (a minute or two, once)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
touch "$venv/.ready"
