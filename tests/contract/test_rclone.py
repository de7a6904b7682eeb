"""A real rclone on a box, run by the very script of its user data, against the S3 of localaws."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.config import Config

from localaws.serve.ports import aws_server, start
from localaws.world import World
from tests.unit.test_guest_sync import Lab, lab

__all__ = ["lab"]
pytestmark = pytest.mark.skipif(shutil.which("rclone") is None, reason="rclone is not installed")
REMOTE = """\
[drive]
type = s3
provider = Other
access_key_id = testing
secret_access_key = a-secret-of-the-remote
region = us-east-1
endpoint = {endpoint}
force_path_style = true
"""
PARAMETER = "/curfew/rclone/admin/drive"


@pytest.fixture(scope="module")
def remote() -> Iterator[tuple[Any, str]]:
    """A client of a bucket somewhere else, and the configuration with which rclone finds it."""
    with World(seed=7) as world:
        server = aws_server(0, world.endpoint.handle)
        start(server, "aws")
        s3 = world.session().client("s3", config=Config(request_checksum_calculation="when_required"))
        s3.create_bucket(Bucket="elsewhere")
        yield s3, REMOTE.format(endpoint=f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
        server.server_close()


def test_a_remote_is_fetched_from_and_pushed_to(lab: Lab, remote: tuple[Any, str]) -> None:
    """Names that curl's way does not take go as well. The configuration is gone from the box afterwards, and stands in
    nothing that Curfew keeps."""
    s3, lab.bucket.remotes[PARAMETER] = remote
    for name in ("birds/one.txt", "birds/two/ö 'x'.txt"):
        s3.put_object(Bucket="elsewhere", Key=name, Body=name.encode())
    lab.launch(
        rclone=PARAMETER,
        sync_from={"path": "drive:elsewhere/birds", "folder": f"{lab.here}/data"},
        sync_to={"path": "drive:elsewhere/out", "folder": f"{lab.here}/output"},
    )
    lab.box.syncs()
    assert (lab.here / "data" / "two" / "ö 'x'.txt").read_bytes() == "birds/two/ö 'x'.txt".encode()
    assert lab.told("fetch") == (2, 0, None)
    (lab.output / "model.pt").write_bytes(b"weights")
    lab.at(timedelta(minutes=104))
    assert "Contents" not in s3.list_objects_v2(Bucket="elsewhere", Prefix="out/")
    lab.at(timedelta(minutes=106))
    assert s3.get_object(Bucket="elsewhere", Key="out/model.pt")["Body"].read() == b"weights"
    assert lab.told("push") == (1, 0, None)
    written = [
        one for one in lab.here.rglob("*") if one.is_file() and "secret" in one.read_text(errors="replace")
    ]
    assert written == []
    lease = lab.world.store.lease(lab.lease_id)
    assert "a-secret" not in repr(lease)


def test_a_remote_that_fails_is_told_with_rclone_s_own_code(lab: Lab) -> None:
    """And nothing of what it said, which may name secrets."""
    lab.bucket.remotes[PARAMETER] = "[other]\ntype = local\n"
    lab.launch(rclone=PARAMETER, sync_from={"path": "drive:elsewhere/birds", "folder": f"{lab.here}/data"})
    lab.box.syncs()
    assert lab.told("fetch") == (0, 1, "rclone ended with 1")
