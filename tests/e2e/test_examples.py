"""The examples run as they stand, one after another, as a month goes."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from localaws.demo.stage import TOKEN, Stage
from tests.architecture.sources import ROOT
from tests.e2e.kit import Lab

EXAMPLES = ROOT / "examples"
A_STEP = 0.2
"""Real seconds, in which half a simulated minute passes: what waits for EC2 asks again each second or two."""
CURL = """#!/bin/sh
case "$*" in *POST*/spot-requests) touch launching ;; esac
PATH=${PATH#*:} curl "$@"
code=$?
rm -f launching
exit $code
"""
"""On AWS no launch takes minutes. On a slow machine it could here, and would be taken for one that died."""


def run(stage: Stage, where: Path, script: str, *arguments: str) -> tuple[int, str, str]:
    """A script as a person starts it, while simulated time passes unless a launch is under way."""
    (where / "bin").mkdir(exist_ok=True)
    (where / "bin" / "curl").write_text(CURL)
    (where / "bin" / "curl").chmod(0o755)
    here = {
        "CURFEW_URL": stage.api,
        "CURFEW_TOKEN": TOKEN,
        "CURFEW_WORLD": f"{stage.aws}/_world",
        "PATH": f"{where}/bin:{os.environ['PATH']}",
    }
    process = subprocess.Popen(
        ["sh", str(EXAMPLES / script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=where,
        env={**os.environ, **here},
    )
    while True:
        try:
            told, errors = process.communicate(timeout=A_STEP)
        except subprocess.TimeoutExpired:
            if not (where / "launching").exists():
                stage.world("POST", "/clock", {"advance_seconds": 30})
        else:
            return process.returncode, told, errors


@pytest.fixture
def month(stage: Stage, lab: Lab, tmp_path: Path) -> dict[str, str]:
    """What each script told, in their order; none may fail."""
    told: dict[str, str] = {}
    for script in sorted(path.name for path in EXAMPLES.glob("0*.sh")):
        next_one = re.findall(rf"{script} (lease-\w+)", "".join(told.values()))
        status, told[script], errors = run(stage, tmp_path, script, *next_one)
        assert status == 0, (script, told[script], errors)
        assert "Traceback" not in errors
    return told


def test_the_examples_do_what_they_say(month: dict[str, str], lab: Lab, tmp_path: Path) -> None:
    """A budget, a launch, the model at home, an image, a stray that is ended, and at the end nothing that runs."""
    assert "The month may cost $60" in month["01-arm-and-budget.sh"]
    assert re.search(r"log in: ssh -i laptop.pem ubuntu@\d+\.", month["02-launch.sh"])
    assert stat.S_IMODE((tmp_path / "laptop.pem").stat().st_mode) == 0o600
    assert (tmp_path / "model.pt").read_text() == "weights\n"
    assert re.search(r"ami-\w+ is saved(.|\n)*goes on from mine:train", month["03-train-and-keep.sh"])
    assert re.search(r"i-\w+ is ended, its lease lease-\w+ is closed", month["04-forgotten-box.sh"])
    assert re.search(r"shown this once: curfew_\w+\n.*none(.|\n)*DELETE  /tokens", month["05-colleague.sh"])
    assert month["06-month-end.sh"].count("requested  ") == 3
    assert lab.alive() == set()


def test_a_refusal_ends_an_example_with_curfew_s_own_words(stage: Stage, lab: Lab, tmp_path: Path) -> None:
    """And nothing that would have followed is done."""
    lab.ok("PUT", "/budgets/account", {"limit_usd": "1", "period": "monthly"})
    status, told, errors = run(stage, tmp_path, "02-launch.sh")
    assert status == 1
    assert errors.startswith("POST /spot-requests was answered 409: ")
    assert "log in" not in told
    assert lab.alive() == set()
