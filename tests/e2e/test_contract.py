"""Schemathesis against Curfew as `make serve` runs it: whatever GET /openapi.json lists, by whoever added it.

By examples, by its coverage of every limit, and by fuzzing it makes calls that fit the document and calls that don't. With
all checks on, it fails where an answer is a 5xx or not as the document says, where what fits is a 422 or what does not fit is
taken, where a token is not asked for, and where a method that is not listed is anything but a 405.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from localaws.demo.stage import TOKEN, Stage
from tests.e2e.kit import Lab

pytestmark = pytest.mark.contract_http

SCHEMATHESIS = Path(sys.executable).with_name("st")
FUZZED = "3"
"""Calls made up for each operation and mode, beside some three thousand that the document itself asks for."""


@pytest.mark.parametrize("part", ["--include-path", "--exclude-path"])
def test_the_contract_is_kept(lab: Lab, stage: Stage, tmp_path: Path, part: str) -> None:
    """The same calls each time: nothing is left to chance. A third of all are made of the policy's many fields."""
    del lab  # an account that is empty
    command = [str(SCHEMATHESIS), "--no-color", "run", f"{stage.api}/openapi.json"]
    command += ["--header", f"Authorization: Bearer {TOKEN}", "--phases", "examples,coverage,fuzzing"]
    command += ["--checks", "all", "--max-examples", FUZZED, "--generation-deterministic", "--workers", "2"]
    command += [part, "/policy"]
    run = subprocess.run(
        command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False, timeout=500
    )
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr
