"""The README's tour runs as printed."""

import os
import re
import subprocess
from pathlib import Path

from localaws.demo.stage import TOKEN, Stage

README = (Path(__file__).parents[2] / "README.md").read_text()
TOUR = re.search(r"## A tour by curl.*?```sh\n(.*?)```", README, flags=re.DOTALL)
PRINTED = ("http://127.0.0.1:8000", "http://127.0.0.1:5000", "local-admin-token")
STATUSES = (
    "200 200 200 200 201 200 201 200 200 200 201 201 200 409 "  # to the launch that is refused
    "201 200 200 200 202 201 200 201 200 200 202 200 200 200 200 200"
).split()
"""What each curl of the tour must be answered, in its order."""

NOTING_CURL = 'curl() { command curl -D "$HEADERS/$(printf %03d $(ls "$HEADERS" | wc -l))" "$@"; }\n'
"""The tour's own curl, with the headers of each answer kept."""


def test_the_tour_answers_as_it_says(tmp_path: Path) -> None:
    """Every curl line of the tour, in order, gets the answer that its comment promises, on a server as `make serve`."""
    assert TOUR is not None
    tour = TOUR.group(1)
    with Stage("--speed", "60") as stage:
        for printed, here in zip(PRINTED, (stage.api, stage.aws, TOKEN), strict=True):
            tour = tour.replace(printed, here)
        run = _run(tour, tmp_path)
    assert run.returncode == 0, run.stderr
    answers = [path.read_text().split()[1] for path in sorted(tmp_path.iterdir())]
    assert answers == STATUSES
    assert "adopted at" in run.stdout


def _run(tour: str, headers: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", NOTING_CURL + tour],
        env={**os.environ, "HEADERS": str(headers)},
        capture_output=True,
        text=True,
        check=False,
    )
