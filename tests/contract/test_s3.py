"""The transfer bucket: the gateway on localaws, and URLs as whoever follows them meets them."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from chalicelib.domain.errors import NotFound, Refused, Unavailable
from chalicelib.domain.transfers import Upload
from chalicelib.gateways.s3 import S3Transfers
from localaws.protocol.wire import HttpRequest
from localaws.world import World
from tests.contract.compute_labs import aws_of

BUCKET = "curfew-transfers"
HOUR = timedelta(hours=1)
LEAST_PART = 5 * 1024 * 1024
"""S3 takes no smaller one, but for the last."""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(seed=7) as opened:
        opened.session().client("s3").create_bucket(Bucket=BUCKET)
        yield opened


@pytest.fixture
def bucket(world: World) -> S3Transfers:
    return S3Transfers(aws_of(world), bucket=BUCKET)


def call(world: World, method: str, url: str, body: bytes = b"") -> tuple[int, bytes]:
    """What `curl` does with a URL."""
    host = url.split("/")[2]
    answer = world.endpoint.handle(HttpRequest(method, url, {"host": host}, body))
    return answer.status, answer.body


def test_what_is_put_at_one_url_is_fetched_at_another(world: World, bucket: S3Transfers) -> None:
    """Also where its name has blanks and signs."""
    key = "owners/ann%40home/a b+c=(1).txt"
    assert call(world, "PUT", bucket.upload_url(key, lasts_for=HOUR), b"hello")[0] == 200
    assert call(world, "GET", bucket.download_url(key, lasts_for=HOUR)) == (200, b"hello")
    (listed,) = bucket.files("owners/", after=None, limit=10)
    assert (listed.path, listed.size_bytes, listed.modified_at) == (key, 5, world.now)


def test_a_list_is_read_page_by_page_and_below_its_prefix_alone(world: World, bucket: S3Transfers) -> None:
    """In order of the names."""
    for key in ("leases/a/1", "leases/a/2", "leases/a/3", "leases/ab/4"):
        call(world, "PUT", bucket.upload_url(key, lasts_for=HOUR), b"x")
    first = bucket.files("leases/a/", after=None, limit=2)
    assert [one.path for one in first] == ["leases/a/1", "leases/a/2"]
    rest = bucket.files("leases/a/", after=first[-1].path, limit=2)
    assert [one.path for one in rest] == ["leases/a/3"]


def test_parts_become_one_file(world: World, bucket: S3Transfers) -> None:
    """S3 itself knows which came."""
    upload = bucket.begin("leases/big/model.pt")
    assert bucket.uploads("leases/big/") == (upload,)
    assert bucket.uploads("leases/other/") == ()
    for number, body in ((2, b"end"), (1, b"x" * LEAST_PART)):
        assert call(world, "PUT", bucket.part_url(upload, number, lasts_for=HOUR), body)[0] == 200
    sent = bucket.sent(upload)
    assert {number: one.size_bytes for number, one in sent.items()} == {1: LEAST_PART, 2: 3}
    bucket.complete(upload, sent)
    assert bucket.uploads("leases/big/") == ()
    status, body = call(world, "GET", bucket.download_url(upload.key, lasts_for=HOUR))
    assert (status, len(body)) == (200, LEAST_PART + 3)


def test_what_was_given_up_is_no_more(world: World, bucket: S3Transfers) -> None:
    """Giving up twice is no failure; asking for its parts tells that there are none."""
    upload = bucket.begin("leases/big/half.pt")
    bucket.abort(upload)
    bucket.abort(upload)
    with pytest.raises(NotFound, match="begins another"):
        bucket.sent(upload)
    assert Upload(key=upload.key, upload_id=upload.upload_id) not in bucket.uploads("leases/")


@pytest.mark.parametrize(
    "operation, ask",
    [
        ("ListObjectsV2", lambda bucket: bucket.files("leases/", after=None, limit=1)),
        ("CreateMultipartUpload", lambda bucket: bucket.begin("leases/x/y")),
        ("ListMultipartUploads", lambda bucket: bucket.uploads("leases/")),
    ],
)
def test_a_bucket_that_does_not_answer_is_unavailable(
    world: World, bucket: S3Transfers, operation: str, ask: Callable[[S3Transfers], object]
) -> None:
    """It says what was asked."""
    world.fault(service="s3", operation=operation, code="SlowDown")
    with pytest.raises(Unavailable, match="SlowDown"):
        ask(bucket)
    world.clear_faults()


def test_the_configuration_of_a_remote_is_read_from_its_parameter(world: World, bucket: S3Transfers) -> None:
    """One that is not there is refused by its name."""
    name = "/curfew/rclone/ann/drive"
    world.session().client("ssm").put_parameter(
        Name=name, Value="[drive]\ntype = drive\n", Type="SecureString"
    )
    assert bucket.remote(name) == "[drive]\ntype = drive\n"
    with pytest.raises(Refused, match="there is none") as told:
        bucket.remote("/curfew/rclone/ann/other")
    assert told.value.slug == "sync-refused"
