"""`python -m localaws` on a machine that is not ready: a sentence with what to type, never a traceback."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from localaws import machine
from tests.architecture.sources import ROOT

READ_BY_ANY = ("localaws/__init__.py", "localaws/__main__.py", "localaws/machine.py")
OLD = (
    "import runpy, sys; sys.version_info = (3, 9, 1, 'final', 0); sys.argv = ['localaws', 'demo']; "
    "runpy.run_module('localaws', run_name='__main__')"
)


def run(*arguments: str, where: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """This Python, in a folder, with this repository to import from."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=where,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.parametrize("path", READ_BY_ANY)
def test_an_old_python_can_read_the_entry(path: str) -> None:
    """Down to 3.6, which knows no `from __future__ import annotations` either: else it says SyntaxError."""
    tree = ast.parse((ROOT / path).read_text(), feature_version=(3, 6))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert "__future__" not in imported


def test_a_python_that_is_too_old_is_told_which_it_takes() -> None:
    """One line on stderr, exit status 2, before anything newer is read."""
    ended = run("-c", OLD)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"localaws needs Python 3.11 or newer, and {sys.executable} is 3.9.1. ")
    assert ended.stderr.count("\n") == 1


def test_a_newer_python_that_is_there_is_named() -> None:
    """With the whole command."""
    told = machine.too_old("3.9.1", ["python3.12"], "-m localaws demo")
    assert told.endswith("python3.12 is here: python3.12 -m localaws demo")
    assert machine.too_old("3.9.1", [], "").endswith("Install one, then run it with that.")


def test_missing_packages_are_named_with_the_commands_that_bring_them(tmp_path: Path) -> None:
    """`-S` is a Python without any package, as a fresh machine's is."""
    ended = run("-S", "-m", "localaws", "serve", "--api-port", "8001", where=tmp_path)
    assert ended.returncode == 2
    assert "has no boto3, botocore, chalice, moto" in ended.stderr
    assert (
        f"{sys.executable} -m venv .venv && .venv/bin/python -m pip install -r requirements-dev.txt\n"
        in ended.stderr
    )
    assert "  .venv/bin/python -m localaws serve --api-port 8001\n" in ended.stderr


def test_an_environment_that_is_there_is_the_first_thing_to_try(tmp_path: Path) -> None:
    """`make setup` has made it, and another Python was called."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").touch()
    ended = run("-S", "-m", "localaws", "demo", where=tmp_path)
    assert "Use the environment of this folder: .venv/bin/python -m localaws demo\n" in ended.stderr


def test_everything_that_is_imported_is_asked_for() -> None:
    """What localaws and Curfew import from elsewhere, and not only for types."""
    files = [ROOT / "app.py", *(ROOT / "localaws").rglob("*.py"), *(ROOT / "chalicelib").rglob("*.py")]
    used = {name.partition(".")[0] for path in files for name in _imports(ast.parse(path.read_text()))}
    ours = {"app", "chalicelib", "localaws"}
    foreign = {
        name for name in used - ours - set(sys.stdlib_module_names) if not name.startswith("mypy_boto3")
    }
    assert foreign - {"pydantic_core"} <= set(machine.NEEDED) <= foreign


def _imports(tree: ast.AST) -> set[str]:
    named: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named.add(node.module)
    return named


NO_VENV = (
    '#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; *-V*) echo Python 3.9.1;; *version_info*) {};; esac\n'
)


@pytest.mark.parametrize(
    "script, told",
    [
        (None, "and 'a-python' was not found. Install it, or name another: make setup PYTHON=python3.12"),
        (NO_VENV.format("exit 1"), "and 'a-python' is Python 3.9.1. Name another: make setup PYTHON="),
        (
            NO_VENV.format("echo 3.11"),
            "on Debian and Ubuntu run 'apt install python3-venv' (or python3.11-venv)",
        ),
    ],
    ids=["none", "too old", "no venv"],
)
def test_make_setup_says_what_this_machine_lacks(tmp_path: Path, script: str | None, told: str) -> None:
    """No Python, one that is too old, one without venv: a sentence, and nothing is made."""
    if script:
        (tmp_path / "a-python").write_text(script)
        (tmp_path / "a-python").chmod(0o755)
    ended = subprocess.run(
        ["sh", str(ROOT / "tools" / "make_venv.sh"), str(tmp_path / "venv"), "none.txt"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHON": "a-python", "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert ended.returncode == 1
    assert told in ended.stderr
    assert not (tmp_path / "venv").exists()
