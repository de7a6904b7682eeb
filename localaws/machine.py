"""Whether this machine can run localaws, and if not, what to type: without make, without anything installed.

This file and `__main__` are read by whatever Python is tried first, so they keep to what Python 3.6 understands.
"""

import importlib.util
import shutil
import sys
from pathlib import Path

LEAST = (3, 11)
NEWER = ("python3.14", "python3.13", "python3.12", "python3.11")
NEEDED = "boto3 botocore chalice moto pydantic time_machine typing_extensions urllib3 werkzeug yaml".split()
"""What localaws and Curfew import, by the names of modules."""
VENV = Path(".venv", "bin", "python")
INSTALL = "-m pip install -r requirements-dev.txt"


def complaint(arguments: "list[str]") -> str:
    """What is wrong with this Python, with the commands that mend it; nothing if nothing is."""
    command = " ".join(["-m localaws", *arguments])
    if tuple(sys.version_info[:2]) < LEAST:
        others = [name for name in NEWER if shutil.which(name)]
        version = ".".join(str(part) for part in sys.version_info[:3])
        return too_old(version, others, command)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    return lacking(missing, command) if missing else ""


def too_old(version: str, others: "list[str]", command: str) -> str:
    """Which Python it takes, and one that is there if one is."""
    way = f"{others[0]} is here: {others[0]} {command}" if others else "Install one, then run it with that."
    return f"localaws needs Python 3.11 or newer, and {sys.executable} is {version}. {way}"


def lacking(missing: "list[str]", command: str) -> str:
    """Where the packages are that this Python does not have, or how to get them."""
    what = f"localaws: {sys.executable} has no {', '.join(missing)}."
    install = f"{VENV} {INSTALL}"
    if VENV.exists() and VENV.absolute() != Path(sys.executable).absolute():
        return (
            f"{what} Use the environment of this folder: {VENV} {command}\nIf that has none either: {install}"
        )
    make = "" if VENV.exists() else f"{sys.executable} -m venv .venv && "
    lines = [f"{what} Once, in this folder, then again:", f"  {make}{install}", f"  {VENV} {command}"]
    if make and importlib.util.find_spec("ensurepip") is None:
        lines.append(
            "This Python can't make environments yet: on Debian and Ubuntu, apt install python3-venv"
        )
    return "\n".join(lines)
