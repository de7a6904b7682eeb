"""Saving boxes as images: the gateway on localaws, and its twin in memory."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.images import ImageOrder, SavedImage
from chalicelib.gateways.aws import ACTING, ASKING
from tests.contract.compute_labs import REGION, Lab, WorldLab, opened, stubbed

HALF_AN_HOUR = 1800


@pytest.fixture(params=["memory", "localaws"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Both."""
    with opened(request.param) as found:
        yield found


def an_order(instance_id: str, *, lease_id: str = "lease-1", **facts: Any) -> ImageOrder:
    return ImageOrder(
        lease_id=lease_id, instance_id=instance_id, **{"owner": "ann", "name": "train", **facts}
    )


def saved(lab: Lab, order: ImageOrder) -> tuple[SavedImage, ...]:
    return lab.compute.saved_images(REGION, of=[order.image_of])


@pytest.mark.parametrize("is_stopped", [True, False])
def test_a_box_is_saved_running_or_stopped(lab: Lab, is_stopped: bool) -> None:  # noqa: FBT001
    """The image is on its way at first, available later, and says whose it is, of what, and how large."""
    order = an_order(lab.start())
    if is_stopped:
        lab.compute.stop(REGION, [order.instance_id])
        lab.wait()
    begun = lab.compute.save_image(REGION, order)
    assert begun.accepted
    (image,) = saved(lab, order)
    assert (image.id, image.state) == (begun.answer, "pending")
    lab.wait(HALF_AN_HOUR)
    (image,) = saved(lab, order)
    assert image.state == "available"
    assert (image.owner, image.name) == ("ann", "train")
    assert (image.lease_id, image.instance_id) == ("lease-1", order.instance_id)
    assert image.gib > 0
    assert image.created_at is not None
    launched_from = lab.compute.image(REGION, image.id)
    assert launched_from is not None
    assert launched_from.root_gib == image.gib


def test_a_box_that_is_saved_goes_on_running(lab: Lab) -> None:
    """No reboot, no stop."""
    order = an_order(lab.start())
    lab.compute.save_image(REGION, order)
    lab.wait(60)
    if isinstance(lab, WorldLab):
        assert lab.world.boxes.of(order.instance_id).rebooted_at is None
    assert [one.state for one in lab.compute.observe([REGION])[0].instances] == ["running"]


def test_a_lost_answer_makes_no_second_image(lab: Lab) -> None:
    """The name is of the lease and the box: asked for again it is the same image."""
    order = an_order(lab.start())
    first = lab.compute.save_image(REGION, order)
    again = lab.compute.save_image(REGION, order)
    assert again == first
    assert len(saved(lab, order)) == 1


def test_a_box_that_ends_first_leaves_a_failed_image_and_its_name_is_free(lab: Lab) -> None:
    """What can't be launched from says so."""
    order = an_order(lab.start())
    lab.compute.save_image(REGION, order)
    lab.compute.terminate(REGION, [order.instance_id])
    lab.wait()
    (image,) = saved(lab, order)
    assert image.has_failed
    assert image.reason


def test_images_are_found_by_owner_and_name_alone(lab: Lab) -> None:
    """Neither another's of that name, nor the owner's of another name; a star is a star."""
    box = lab.start()
    mine = lab.compute.save_image(REGION, an_order(box)).answer
    lab.compute.save_image(REGION, an_order(box, lease_id="lease-2", owner="bob"))
    lab.compute.save_image(REGION, an_order(box, lease_id="lease-3", name="other"))
    found = lab.compute.saved_images(REGION, owner="ann", name="train")
    assert [image.id for image in found] == [mine]
    assert lab.compute.saved_images(REGION, owner="*", name="train") == ()
    assert lab.compute.saved_images("us-west-2", owner="ann", name="train") == ()
    assert len(lab.compute.saved_images(REGION)) == 3


def test_a_removed_image_is_gone_with_its_snapshots(lab: Lab) -> None:
    """Asked for twice it is done all the same."""
    order = an_order(lab.start())
    image_id = lab.compute.save_image(REGION, order).answer
    lab.wait(HALF_AN_HOUR)
    assert lab.compute.forget_image(REGION, image_id).accepted
    assert saved(lab, order) == ()
    if isinstance(lab, WorldLab):
        assert all(one.until is not None for one in lab.world.account.snapshots)
    again = lab.compute.forget_image(REGION, image_id)
    assert again.accepted


def test_what_can_not_be_saved_says_why(lab: Lab) -> None:
    """A box that is gone, and one that never was."""
    order = an_order(lab.start())
    lab.compute.terminate(REGION, [order.instance_id])
    lab.wait()
    assert not lab.compute.save_image(REGION, order).accepted
    absent = lab.compute.save_image(REGION, replace(order, instance_id="i-0123456789abcdef0"))
    assert not absent.accepted
    assert absent.is_absent


def test_an_image_carries_neither_a_lease_key_nor_a_deadline() -> None:
    """What is launched from it is a new box: the tags of its source are not on it, only whose it is and of what."""
    with opened("localaws") as lab:
        assert isinstance(lab, WorldLab)
        tags = {"curfew:lease": "lease-1", "curfew:expires-at": "2026-11-23T17:00:00+00:00"}
        box = lab.start(tags=tags)
        image_id = lab.compute.save_image(REGION, an_order(box, project="train")).answer
        (raw,) = lab.aws.ec2(REGION).describe_images(ImageIds=[image_id])["Images"]
        assert {tag["Key"] for tag in raw["Tags"]} == {
            "curfew:image-of",
            "curfew:image-name",
            "curfew:owner",
            "curfew:project",
        }


def test_no_answer_is_unavailable() -> None:
    """Whoever asks then goes on with what is known."""
    compute, stubber = stubbed(ASKING)
    stubber.add_client_error("describe_images", "InternalError", http_status_code=400)
    with pytest.raises(Unavailable, match="describing saved images in us-east-1: InternalError"):
        compute.saved_images(REGION, of=["lease-1/i-1"])


@pytest.mark.parametrize(
    "code, status, may_have_begun",
    [
        ("InvalidParameterValue", 400, False),
        ("RequestLimitExceeded", 503, False),
        ("InternalError", 500, True),
    ],
)
def test_only_what_ec2_refused_is_surely_not_begun(code: str, status: int, may_have_begun: bool) -> None:  # noqa: FBT001
    """The months of others stay held."""
    compute, stubber = stubbed(ACTING)
    for _ in range(2 if status >= 500 else 1):
        stubber.add_client_error("create_image", code, http_status_code=status)
    outcome = compute.save_image(REGION, an_order("i-1"))
    assert (outcome.accepted, outcome.answer) == (False, code)
    assert outcome.may_have_happened is may_have_begun


def test_many_boxes_are_asked_for_in_parts() -> None:
    """A filter takes 200 values; images that Curfew has not made, or that lack their id, are passed over."""
    compute, stubber = stubbed(ASKING)
    tagged = {"Tags": [{"Key": "curfew:image-of", "Value": "lease-1/i-000"}]}
    first = {"Images": [{"ImageId": "ami-1", **tagged}, {"ImageId": "ami-2"}, tagged], "NextToken": "more"}
    stubber.add_response("describe_images", first)
    stubber.add_response("describe_images", {"Images": []})
    stubber.add_response("describe_images", {"Images": []})
    found = compute.saved_images(REGION, of=[f"lease-1/i-{number:03}" for number in range(201)])
    assert [(image.id, image.state, image.gib) for image in found] == [("ami-1", "unknown", 0)]
    stubber.assert_no_pending_responses()


def test_a_saved_image_says_whom_to_log_in_as() -> None:
    """As its box had it; one that was saved before that was known says nothing."""
    with opened("localaws") as lab:
        told, untold = (lab.start() for _ in range(2))
        lab.compute.save_image(REGION, an_order(told, ssh_user="ubuntu"))
        lab.compute.save_image(REGION, an_order(untold))
        lab.wait(HALF_AN_HOUR)
        users = {}
        for box in (told, untold):
            (image,) = saved(lab, an_order(box))
            found = lab.compute.image(REGION, image.id)
            users[box] = found and found.ssh_user
        assert users == {told: "ubuntu", untold: None}


def test_what_is_asked_for_while_a_box_lives_is_another_image_than_its_end_s(lab: Lab) -> None:
    """Both are found under their name, and each by what it is of; a box that has the name keeps it from others."""
    box, other = lab.start(), lab.start()
    live = an_order(box, is_live=True)
    first = lab.compute.save_image(REGION, live)
    assert lab.compute.save_image(REGION, live) == first
    at_end = lab.compute.save_image(REGION, an_order(box))
    assert at_end.answer != first.answer
    taken = lab.compute.save_image(REGION, an_order(other, lease_id="lease-2", is_live=True))
    assert (taken.accepted, taken.answer) == (False, "InvalidAMIName.Duplicate")
    (image,) = saved(lab, live)
    assert (image.id, image.is_live, image.lease_id, image.instance_id) == (
        first.answer,
        True,
        "lease-1",
        box,
    )
    assert {one.id for one in lab.compute.saved_images(REGION, owner="ann", name="train")} == {
        first.answer,
        at_end.answer,
    }


@pytest.mark.parametrize("reboots", [True, False])
def test_a_reboot_is_made_where_it_is_asked_for(reboots: bool) -> None:  # noqa: FBT001
    """And the image is of the box's own processors."""
    with opened("localaws") as lab:
        assert isinstance(lab, WorldLab)
        box = lab.start("g5g.xlarge")
        order = an_order(box, is_live=True, reboots=reboots, name="a:b=c+d/é" * 20)
        assert lab.compute.save_image(REGION, order).accepted
        lab.wait(HALF_AN_HOUR)
        assert (lab.world.boxes.of(box).rebooted_at is not None) is reboots
        (image,) = saved(lab, order)
        found = lab.compute.image(REGION, image.id)
        assert found is not None
        assert found.architecture == "arm64"
