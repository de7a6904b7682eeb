"""The demo is the product's claim, so it is a test."""

import subprocess
import sys


def test_the_demo_holds_what_it_shows() -> None:
    """Exit status 0, and every claim held against the truth."""
    run = subprocess.run(
        [sys.executable, "-m", "localaws", "demo"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "every claim holds" in run.stdout.splitlines()[-1]
    assert "FAIL" not in run.stdout
