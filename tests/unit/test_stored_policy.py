"""A stored policy that this version does not wholly know: it guards by what it knows, and says what it passes over."""

import json

from chalicelib.usecases.health import health
from tests.builders import HOUR, MINUTE, TYPE, Stage, at, policy


def stage_after_a_rollback() -> Stage:
    """A newer version put keys that this one does not have."""
    stage = Stage()
    document = policy(lease={"max_for": "P2D"}).model_dump(mode="json", by_alias=True)
    document["idle"]["by_process"] = "on"
    document["scope"]["exclude_vpcs"] = ["vpc-1"]
    stage.store._policy = (json.dumps(document), 7)
    return stage


def test_leases_end_though_the_stored_policy_has_keys_of_another_version() -> None:
    """A rollback leaves nothing unwatched."""
    stage = stage_after_a_rollback()
    lease = stage.launch(lasts_for=HOUR)
    assert stage.until(at("10:00")).ended == (lease.id,)
    assert stage.alive == []


def test_a_box_that_the_policy_may_have_excluded_is_reported_not_adopted() -> None:
    """What the newer key excluded is not known here: ending it would be a wrong kill."""
    stage = stage_after_a_rollback()
    stage.compute.start(TYPE, "us-east-1")
    record = stage.after(MINUTE)
    assert (record.adopted, len(record.reported)) == ((), 1)


def test_health_names_what_of_the_policy_is_passed_over() -> None:
    """Nobody reads a log until something is wrong."""
    stage = stage_after_a_rollback()
    stage.after(MINUTE)
    whys = [each["why"] for each in health(stage.services).missing if each["what"] == "policy"]
    assert [why for why in whys if "idle.by_process" in why and "scope.exclude_vpcs" in why] == whys != []
