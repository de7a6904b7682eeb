"""limits.hourly_usd: what runs or may run in the account never gets room for more an hour by a launch."""

import pytest

from chalicelib.domain.errors import Refused
from chalicelib.domain.lease import RequestType
from chalicelib.usecases.end import end_lease
from chalicelib.usecases.launch import quote
from tests.builders import HOUR, MINUTE, PRICE, SECOND, Stage, order, usd


def limited(limit: str, **facts: bool) -> Stage:
    stage = Stage(**facts)  # type: ignore[arg-type]
    stage.put_policy(limits={"hourly_usd": limit})
    return stage


def refused(stage: Stage, **wishes: object) -> Refused:
    with pytest.raises(Refused) as told:
        stage.launch(**wishes)
    assert told.value.slug == "hourly-limit"
    return told.value


def test_what_runs_and_the_launch_must_fit() -> None:
    """Two boxes of about a dollar under a limit of $2.50, with their disks and addresses; not three."""
    stage = limited("2.50")
    first, _ = stage.launch(), stage.launch()
    answer = refused(stage)
    assert answer.extra["limit_usd"] == "2.50"
    assert usd(2) < usd(str(answer.extra["hourly_usd"])) < usd("2.2")
    assert PRICE < usd(str(answer.extra["asked_usd"])) < usd("1.1")
    assert len(stage.alive) == len(stage.store.open_leases()) == 2
    end_lease(stage.services, first.id, by="ada")
    assert stage.launch().instance_ids


def test_a_quote_tells_it_too() -> None:
    """Nothing is held for it."""
    stage = limited("0.50")
    objections = quote(stage.services, order(), owner="ada").objections
    assert [one.slug for one in objections] == ["hourly-limit"]
    cheap = quote(stage.services, order(max_price_usd_per_hour=usd("0.40")), owner="ada")
    assert cheap.objections == ()


def test_no_limit_limits_nothing_and_zero_everything() -> None:
    """`null` is the default."""
    assert Stage().launch().instance_ids
    assert "the launch $1.0" in refused(limited("0")).detail


def test_what_may_start_again_counts_while_nothing_runs() -> None:
    """The box of a persistent request is gone for now; AWS may start the next one at any moment."""
    stage = limited("1.50")
    lease = stage.launch(request_type=RequestType.PERSISTENT)
    stage.compute.ec2.interrupt(lease.instance_ids[0])
    stage.after(MINUTE)
    refused(stage)


def test_adopted_boxes_count() -> None:
    """Whoever started them."""
    stage = limited("1.50")
    stage.compute.start()
    stage.sweep()
    refused(stage)


def test_boxes_without_a_lease_count_as_the_last_sweep_saw_them() -> None:
    """Reported, not adopted: the limit is the account's. Events' looks at one box do not hide the others."""
    stage = limited("1.50", is_armed=False)
    box = stage.compute.start()
    stage.sweep()
    assert stage.store.open_leases() == ()
    for _ in range(30):
        stage.clock.advance(SECOND)
        stage.sweep(box)
    refused(stage)
    stage.compute.terminate("us-east-1", [box])
    stage.after(HOUR)
    assert stage.launch().instance_ids


def test_of_two_launches_at_the_same_moment_never_both_pass() -> None:
    """Each was admitted before the other was written; whoever sees the other steps back, and its hold goes back."""
    stage = limited("1.50")
    stage.put_budget()

    def another(method: str, phase: str) -> None:
        if (method, phase) == ("open_lease", "before"):
            stage.store.hook = lambda *_: None
            stage.launch(owner="bob")

    stage.store.hook = another
    refused(stage, key="mine")
    (stays,) = stage.store.open_leases()
    assert (stays.owner, stage.alive) == ("bob", list(stays.instance_ids))
    assert stage.left() == usd(100) - stays.hold.total_usd
    refused(stage, key="mine")
