"""What becomes of boxes that nobody launched through Curfew."""

from datetime import timedelta
from decimal import Decimal

import pytest

from localaws.demo.stage import when
from tests.e2e.kit import Lab

UNLEASED = {"for": "PT10M", "grace": "PT5M"}


@pytest.mark.parametrize("market", ["on-demand", "one-time", "persistent", "maintain", "asg"])
def test_a_box_behind_curfews_back_ends_with_its_lease(lab: Lab, market: str) -> None:
    """Untagged and busy, it is adopted within two minutes and ended when its lease is over, for good: a fleet or a group
    starts no other."""
    lab.policy(unleased=UNLEASED)
    row = lab.start("p3.2xlarge", market=market, gpu=90)
    lab.minutes(2)
    assert lab.said(row["id"], "Adopted")
    lab.minutes(10)
    ran = when(lab.row(row["id"])["ended_at"]) - when(row["launched_at"])
    assert timedelta(minutes=10) <= ran <= timedelta(minutes=12)
    assert lab.alive() == set()


def test_a_box_that_comes_back_untagged_joins_the_lease_of_its_request(lab: Lab) -> None:
    """Somebody terminates a persistent box by hand; what AWS starts in its place ends with the same lease."""
    lab.policy(unleased=UNLEASED)
    row = lab.start(market="persistent", gpu=90)
    lab.minutes(3)
    lab.terminate(row["id"])
    lab.minutes(4)
    (again,) = lab.alive()
    assert lab.row(again)["relaunch_of"] == row["id"]
    lab.minutes(10)
    assert lab.alive() == set()
    assert len(lab.receipts()) == 1


def test_a_protected_box_is_left_alone_and_a_wrong_tag_protects_nothing(lab: Lab) -> None:
    """curfew:protect with a time to come spares; without a time, or with a past one, it does not."""
    lab.policy(unleased=UNLEASED)
    tags = {"until": "2027-01-01T00:00:00Z", "past": "2020-01-01", "word": "yes"}
    rows = {name: lab.start(gpu=90, tags={"curfew:protect": value})["id"] for name, value in tags.items()}
    lab.minutes(14)
    assert lab.alive() == {rows["until"]}


def test_scope_leaves_boxes_alone(lab: Lab) -> None:
    """Excluded types and tags are not looked at, and no other kind of instance ever is."""
    lab.policy(
        unleased=UNLEASED,
        scope={"exclude_types": ["g4dn.*"], "exclude_tags": {"team": "infra"}, "include_types": ["c5.large"]},
    )
    spared = {
        lab.start("g4dn.xlarge", gpu=90)["id"],
        lab.start("g5.xlarge", gpu=90, tags={"team": "infra"})["id"],
        lab.start("m5.large")["id"],
    }
    lab.start("c5.large", gpu=90)
    lab.start("g5.xlarge", gpu=90, tags={"team": "vision"})
    lab.minutes(14)
    assert lab.alive() == spared


def test_a_copied_lease_tag_is_no_lease(lab: Lab) -> None:
    """A box that carries the tag of an open lease is adopted like any other."""
    lab.policy(unleased=UNLEASED)
    lease = lab.launch(hours=2, gpu=90)
    row = lab.start(gpu=90, tags={"curfew:lease": lease["id"]})
    lab.minutes(14)
    assert lab.alive() == set(lease["instance_ids"])
    assert lab.state(row["id"]) == "terminated"


def test_into_a_full_budget_it_ends_after_grace(lab: Lab) -> None:
    """Adopted into a budget without room, a box ends once its grace is over, not before."""
    lab.policy(unleased={"for": "PT2H", "grace": "PT10M"})
    lab.ok("PUT", "/budgets/account", {"limit_usd": "4.40", "period": "monthly"})
    lease = lab.launch(hours=4, gpu=90)
    row = lab.start("p3.8xlarge", gpu=90)
    lab.minutes(9)
    assert lab.state(row["id"]) == "running"
    lab.minutes(4)
    assert lab.state(row["id"]) == "terminated"
    assert lab.state(lease["instance_ids"][0]) == "running"
    assert lab.billed(row["id"]) <= Decimal(13) / 60 * Decimal("12.24") + Decimal("0.05")


def test_a_box_that_is_to_be_kept_is_stopped(lab: Lab) -> None:
    """unleased.end stop: its disk stays, nothing is saved and nothing is terminated."""
    lab.policy(unleased=UNLEASED | {"end": "stop"})
    row = lab.start(gpu=90)
    lab.minutes(14)
    assert lab.state(row["id"]) == "stopped"
    assert (lab.calls("TerminateInstances"), lab.calls("CreateImage")) == ([], [])


def test_a_box_that_is_to_be_saved_ends_once_its_image_is_there(lab: Lab) -> None:
    """unleased.end image: its receipt names the image."""
    lab.policy(unleased=UNLEASED | {"end": "image"})
    row = lab.start(gpu=90)
    lab.minutes(25)
    assert lab.state(row["id"]) == "terminated"
    assert len(lab.calls("CreateImage")) == 1
    (receipt,) = lab.receipts()
    assert [image["instance_id"] for image in receipt["images"]] == [row["id"]]
