"""What docs/transfers.md says to type does what it says: each of its blocks in a real shell, against the app on doubles."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from chalicelib.gateways.beacons import RandomBeacons
from tests.architecture.sources import ROOT
from tests.doubles.memory_transfers import MemoryTransfers
from tests.guest_kit import Net
from tests.unit.test_web_transfers import bucket, served_api, world
from tests.unit.web_kit import ADMIN, LAUNCH, World

__all__ = ["bucket", "served_api", "world"]
PAGE = (ROOT / "docs" / "transfers.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
STRICT = 'set -eu\naws() { :; }\ncurl() { command curl -sf "$@"; }\n'


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[0][:40])
def test_a_block_of_the_page_runs_as_printed(
    block: str, world: World, bucket: MemoryTransfers, served_api: Net, tmp_path: Path
) -> None:
    """But for the names of a lease and an image, which are this account's."""
    world.put(beacons=RandomBeacons(served_api.url))
    bucket.remotes["/curfew/rclone/admin/drive"] = "[drive]\ntype = drive\n"
    lease = world.launched()["id"]
    text = block.replace("lease-0123456789abcdef0", lease).replace('"deep-learning"', f'"{LAUNCH["image"]}"')
    text = text.replace("sh examples/", f"sh {ROOT}/examples/")
    for name in ("train.tar", "model.pt", "rclone.conf"):
        (tmp_path / name).write_text(name)
    env = {
        "PATH": os.environ["PATH"],
        "CURFEW": served_api.url,
        "AUTH": f"Authorization: {ADMIN['Authorization']}",
        "CURFEW_URL": served_api.url,
        "CURFEW_TOKEN": ADMIN["Authorization"].split()[1],
    }
    done = subprocess.run(
        ["/bin/sh", "-c", STRICT + text],
        env=env,
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_has_blocks() -> None:
    """The test above would pass on none."""
    assert len(BLOCKS) == 4
