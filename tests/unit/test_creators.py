"""Who started a box that nobody launched through Curfew."""

from datetime import timedelta

import pytest

from chalicelib.domain.creator import owner_of
from chalicelib.domain.notices import Kind
from tests.builders import DAY, HOUR, MINUTE, REGION, Stage, at, owner_budget, usd
from tests.doubles.memory_compute import Call

ADA = "arn:aws:iam::123456789012:user/research/ada"
FLEET_ROLE = "arn:aws:sts::123456789012:assumed-role/AWSServiceRoleForEC2Fleet/EC2Fleet"


@pytest.mark.parametrize(
    "arn, name",
    [
        (ADA, "ada"),
        ("arn:aws:iam::123456789012:root", "root"),
        ("arn:aws:sts::123456789012:assumed-role/Trainer/i-0123456789abcdef0", "Trainer"),
        (
            "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0af/bob@example.org",
            "bob@example.org",
        ),
        ("arn:aws:sts::123456789012:federated-user/eve", "eve"),
        ("spot.amazonaws.com", "spot.amazonaws.com"),
    ],
)
def test_an_owner_is_named_after_whoever_called(arn: str, name: str) -> None:
    """A role by its own name: what its session is called is up to whoever assumes it."""
    assert owner_of(arn) == name


def test_cloudtrail_names_the_owner_whose_budget_then_carries_the_hold() -> None:
    """Adopted as nobody's, it is Ada's once CloudTrail tells so: people are told, her budget pays, her tag is on it."""
    stage = Stage()
    stage.put_budget()
    stage.store.put_budget(owner_budget("adas", "ada"), revision=stage.store.budgets(at("09:00")).revision)
    box = stage.compute.start()
    stage.until(at("09:04"))
    assert stage.only_lease().owner == "unleased"
    stage.trail.tell(box, ADA)
    stage.until(at("09:12"))
    lease = stage.only_lease()
    assert (lease.owner, lease.launched_by) == ("ada", ADA)
    assert stage.left("adas") == usd(100) - lease.hold.total_usd
    assert stage.left() == usd(100) - lease.hold.total_usd
    told = [notice for notice in stage.told(Kind.ADOPTED) if ADA in notice.title]
    assert len(told) == 1
    assert stage.box(box).tags["curfew:owner"] == "ada"


def test_it_is_asked_until_it_is_told_or_half_an_hour_has_passed() -> None:
    """Every five minutes, the last time half an hour after the start, and never again."""
    stage = Stage()
    stage.compute.start()
    stage.until(at("12:00"))
    assert len(stage.trail.calls) == 7
    assert stage.only_lease().creator_asked_at == at("09:32")


def test_a_box_that_is_old_when_it_is_found_is_asked_about_once() -> None:
    """CloudTrail knows by then or never will."""
    stage = Stage()
    stage.compute.start()
    stage.clock.advance(DAY)
    stage.until(at("10:00", day=1))
    assert len(stage.trail.calls) == 1


def test_an_owner_that_a_tag_names_is_not_asked_about() -> None:
    """Nor a launch's own."""
    stage = Stage()
    stage.launch()
    stage.compute.start(tags={"curfew:owner": "bob"})
    stage.until(at("09:40"))
    assert stage.trail.calls == []


def test_the_tag_of_a_spot_request_names_the_owner_of_a_box_without_one() -> None:
    """A relaunched box carries no tags; its request does."""
    stage = Stage()
    stage.compute.start(market="persistent", request_tags={"curfew:owner": "bob", "curfew:project": "p1"})
    stage.sweep()
    assert (stage.only_lease().owner, stage.only_lease().project) == ("bob", "p1")


def test_what_a_fleet_started_belongs_to_whoever_made_the_fleet() -> None:
    """AWS called RunInstances in the fleet's name; whoever called CreateFleet is meant."""
    stage = Stage()
    box = stage.compute.start(fleet_id="fleet-1", fleet_type="maintain")
    stage.trail.tell(box, FLEET_ROLE, is_service=True)
    stage.trail.tell("fleet-1", ADA)
    stage.until(at("09:05"))
    assert (stage.only_lease().owner, stage.only_lease().launched_by) == ("ada", ADA)


def test_what_a_service_made_the_fleet_for_tells_whose_the_box_is() -> None:
    """The fleet was made by AWS too, for a group; whoever made that is meant."""
    stage = Stage()
    box = stage.compute.start(fleet_id="fleet-1", fleet_type="maintain", group="web")
    stage.trail.tell(box, FLEET_ROLE, is_service=True)
    stage.trail.tell("fleet-1", FLEET_ROLE, is_service=True)
    stage.trail.tell("web", ADA)
    stage.until(at("09:05"))
    assert (stage.only_lease().owner, stage.only_lease().launched_by) == ("ada", ADA)


def test_a_service_that_nobody_is_known_behind_is_named_and_owns_nothing() -> None:
    """The group is all that is known."""
    stage = Stage()
    box = stage.compute.start(group="web")
    stage.trail.tell(box, FLEET_ROLE, is_service=True)
    stage.until(at("09:29"))
    assert stage.only_lease().launched_by is None
    stage.until(at("09:33"))
    assert (stage.only_lease().owner, stage.only_lease().launched_by) == ("unleased", FLEET_ROLE)


def test_a_box_that_nobody_s_budget_pays_for_stays_on_it() -> None:
    """Whoever pays already goes on paying; who started it is told all the same."""
    stage = Stage()
    stage.store.put_budget(
        owner_budget("strays", "unleased"), revision=stage.store.budgets(at("09:00")).revision
    )
    box = stage.compute.start()
    stage.trail.tell(box, ADA)
    stage.until(at("09:10"))
    assert (stage.only_lease().owner, stage.only_lease().launched_by) == ("unleased", ADA)


def test_a_cloudtrail_that_fails_is_lacking_and_asked_again() -> None:
    """Nothing ends late for it, and the other regions are told."""
    stage = Stage()
    lease = stage.launch(lasts_for=HOUR)
    box = stage.compute.start()
    other = stage.compute.start(region="eu-west-1")
    stage.trail.failing.add(REGION)
    stage.trail.tell(other, ADA)
    stage.until(at("09:01"))
    record = stage.after(MINUTE)
    assert any(line.startswith("CloudTrail us-east-1") for line in record.lacking)
    stage.trail.failing.clear()
    stage.trail.tell(box, ADA)
    record = stage.until(at("10:00"))
    assert lease.id in record.ended
    assert {one.owner for one in stage.store.open_leases()} == {"ada"}


def test_a_few_boxes_of_a_region_are_asked_about_in_one_sweep() -> None:
    """CloudTrail takes two questions a second: the others follow a minute later, and each is asked about."""
    stage = Stage()
    boxes = {stage.compute.start() for _ in range(6)}
    stage.until(at("09:02"))
    assert len(stage.trail.calls) == 4
    stage.after(MINUTE)
    assert len(stage.trail.calls) == 6
    assert {name for _, name in stage.trail.calls} == boxes


def test_a_sweep_that_took_long_leaves_the_question_to_the_next() -> None:
    """What a minute has left is for the ends of the next one."""
    stage = Stage()
    stage.compute.start()
    stage.until(at("09:01"))

    def slow(phase: str, call: Call) -> None:
        if (phase, call.operation, call.region) == ("before", "observe", REGION):
            stage.clock.advance(timedelta(seconds=31))

    stage.compute.on_call = slow
    stage.after(MINUTE)
    assert stage.trail.calls == []
    stage.compute.on_call = lambda *_: None
    stage.after(MINUTE)
    assert len(stage.trail.calls) == 1
