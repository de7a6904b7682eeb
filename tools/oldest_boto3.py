"""Print requirements that run the adapters' tests on boto3's least supported version (see pyproject.toml)."""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINS = ("requirements.txt", "requirements-dev.txt")
# What only reads the sources needs no second installation; boto3 itself is replaced.
NOT_NEEDED = ("boto3", "boto3-stubs", "cfn-lint", "import-linter", "mypy", "ruff")


def oldest_requirements(pins: list[str], oldest: str) -> list[str]:
    """The pins with boto3 and its botocore at `oldest`, and without the linters."""
    kept = [pin for pin in pins if re.match(r"[a-z]", pin) and re.split(r"[\[=]", pin)[0] not in NOT_NEEDED]
    return [*kept, f"boto3=={oldest}", f"botocore=={oldest}"]


def main() -> None:
    """Write the requirements to standard output."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pins = [pin for name in PINS for pin in (ROOT / name).read_text().splitlines()]
    sys.stdout.write("\n".join(oldest_requirements(pins, project["tool"]["curfew"]["oldest-boto3"])) + "\n")


if __name__ == "__main__":
    main()
