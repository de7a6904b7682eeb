"""How boxes end, and what never stops an end."""

from decimal import Decimal
from typing import Any

import pytest

from localaws.demo.stage import when
from tests.e2e.kit import Lab

SHORT = {"after": "PT10M", "warn_before": "PT3M", "after_launch": "PT3M"}


def test_a_persistent_request_is_cancelled_before_its_box_is_terminated(lab: Lab) -> None:
    """An idle persistent box ends for good: cancel first, then terminate, and nothing comes back."""
    lab.policy(idle=SHORT)
    lease = lab.launch(request_type="persistent")
    (box,), (request,) = lease["instance_ids"], lease["spot_request_ids"]
    lab.minutes(30)
    assert lab.state(box) == "terminated"
    assert lab.request_state(request) == "cancelled"
    assert lab.calls("CancelSpotInstanceRequests")[0]["seq"] < lab.calls("TerminateInstances")[0]["seq"]
    assert lab.alive() == set()
    assert [receipt["cause"] for receipt in lab.receipts()] == ["idle"]


def test_a_teardown_cut_off_between_cancel_and_terminate_is_finished(lab: Lab) -> None:
    """TerminateInstances fails right after the cancel: later sweeps end the box, and no request is left open."""
    lab.policy(idle=SHORT)
    lease = lab.launch(request_type="persistent")
    (box,), (request,) = lease["instance_ids"], lease["spot_request_ids"]
    lab.fault(service="ec2", operation="TerminateInstances", rate=1, code="InternalError")
    lab.minutes(13)
    assert lab.state(box) == "running"
    assert lab.request_state(request) == "cancelled"
    lab.mend()
    lab.minutes(2)
    assert lab.state(box) == "terminated"
    assert lab.alive() == set()
    assert len(lab.receipts()) == 1


def test_a_lost_answer_to_terminate_changes_nothing(lab: Lab) -> None:
    """The termination took effect but its answer never came: one receipt all the same."""
    lease = lab.launch(hours="0.5", gpu=90)
    lab.fault(service="ec2", operation="TerminateInstances", rate=1, lost_answer=True, code="InternalError")
    lab.minutes(35)
    lab.mend()
    lab.minutes(2)
    assert lab.state(lease["instance_ids"][0]) == "terminated"
    assert len(lab.receipts()) == 1


def test_the_warning_comes_before_the_end_and_work_takes_it_back(lab: Lab) -> None:
    """Idle for 7 of 10 minutes warns; work after it takes the warning back and the box lives."""
    lab.policy(idle=SHORT)
    (box,) = lab.launch()["instance_ids"]
    lab.minutes(8)
    assert len(lab.said(box, "will end")) == 1
    lab.load(box, gpu=80)
    lab.minutes(5)
    assert lab.state(box) == "running"
    assert len(lab.said(box, "taken back")) == 1
    lab.load(box, gpu=0)
    lab.minutes(15)
    first, second = lab.said(box, "will end")
    assert first < second < when(lab.row(box)["ended_at"])


@pytest.mark.parametrize("period", [60, 300])
def test_metrics_of_either_interval_tell_an_idle_box(lab: Lab, period: int) -> None:
    """A box that idles ends for it whether its metrics come every 60 s or every 300 s."""
    lab.policy(idle=SHORT)
    (box,) = lab.launch(metric_period=period)["instance_ids"]
    lab.minutes(25)
    assert lab.state(box) == "terminated"


def test_missing_metrics_never_end_a_box_but_time_does(lab: Lab) -> None:
    """Without samples a box is not idle, however long; its lease's end still comes."""
    lab.policy(idle=SHORT)
    (box,) = lab.launch(gpu=None, hours="0.5")["instance_ids"]
    lab.minutes(28)
    assert lab.state(box) == "running"
    lab.minutes(4)
    assert lab.state(box) == "terminated"
    assert [receipt["cause"] for receipt in lab.receipts()] == ["expired"]


def test_metrics_that_fall_silent_do_not_end_a_box(lab: Lab) -> None:
    """Samples that stop are unknown, not idle, even after a warning."""
    lab.policy(idle=SHORT)
    (box,) = lab.launch()["instance_ids"]
    lab.minutes(8)
    lab.load(box, gpu=None)
    lab.minutes(30)
    assert lab.state(box) == "running"


def test_a_box_busy_on_any_gpu_lives(lab: Lab) -> None:
    """One GPU at 91 % and one at 0 throughout is a box at work."""
    lab.policy(idle=SHORT)
    (box,) = lab.launch(gpu=[91, 0])["instance_ids"]
    lab.minutes(30)
    assert lab.state(box) == "running"


def test_a_lease_ends_before_it_costs_more_than_its_limit(lab: Lab) -> None:
    """budget_usd holds in the cents that AWS bills."""
    (box,) = lab.launch(instance_types=["g5.12xlarge"], budget_usd="2.50", gpu=90)["instance_ids"]
    lab.minutes(60)
    assert lab.state(box) == "terminated"
    assert Decimal("0.9") < lab.billed(box) <= Decimal("2.50")
    assert [receipt["cause"] for receipt in lab.receipts()] == ["over_budget"]


@pytest.mark.parametrize("code", ["500", "404"])
def test_slack_failing_changes_nothing_about_what_ends(lab: Lab, code: str) -> None:
    """With Slack down the box ends in the same minute; the messages come when Slack is back."""
    lab.policy(idle=SHORT)
    (box,) = lab.launch()["instance_ids"]
    lab.fault(service="slack", rate=1, code=code)
    lab.minutes(13)
    assert lab.state(box) == "terminated"
    assert lab.said(box, "will end") == lab.said(f"Ended {box}") == []
    lab.mend()
    lab.minutes(20)
    assert len(lab.said(f"Ended {box}")) == 1


def test_one_region_failing_does_not_stop_the_others(lab: Lab) -> None:
    """A region that answers errors is named as unseen; boxes elsewhere end, and its own by themselves: their lease is
    closed when it answers again."""
    here, there = (lab.launch(hours="0.25", region=r, gpu=90) for r in ("us-east-1", "eu-west-1"))
    near, far = here["instance_ids"][0], there["instance_ids"][0]
    lab.fault(service="ec2", operation="*", region="eu-west-1", rate=1, code="InternalError")
    lab.minutes(18)
    assert (lab.state(near), lab.state(far)) == ("terminated", "terminated")
    assert lab.ok("GET", f"/leases/{here['id']}")["status"] == "closed"
    assert lab.ok("GET", f"/leases/{there['id']}")["status"] != "closed"
    sweep = lab.ok("POST", "/sweeps", {})
    assert not sweep["is_complete"]
    assert sweep["regions"]["eu-west-1"].startswith("failed")
    lab.mend()
    lab.minutes(2)
    assert lab.ok("GET", f"/leases/{there['id']}")["status"] == "closed"
    assert lab.ok("GET", "/health")["last_complete_sweep"] is not None


NOT_NEEDED = (
    "ce",
    "pricing",
    "cloudtrail",
    "scheduler",
    "ssm",
    "sqs",
    "monitoring",
    "cloudwatch",
    "events",
    "sts",
)


def two_leases(lab: Lab) -> dict[str, Any]:
    """One that ends in a quarter of an hour; beside it a box, in another region, of which CloudWatch is asked every minute."""
    lab.policy(idle=SHORT)
    lab.launch(gpu=90, region="eu-west-1")
    lease = lab.launch(hours="0.25", gpu=90)
    lab.minutes(10)
    return lease


def test_what_is_not_needed_for_a_kill_does_not_delay_it(lab: Lab) -> None:
    """With every service failing but EC2's describing and ending and the table, an expired box ends in its minute."""
    lease = two_leases(lab)
    for service in NOT_NEEDED:
        lab.fault(service=service, operation="*", rate=1, code="InternalError")
    lab.fault(service="ec2", operation="DescribeSpotPriceHistory", rate=1, code="InternalError")
    lab.fault(service="slack", rate=1, code="500")
    lab.minutes(5)
    (box,) = lease["instance_ids"]
    assert when(lab.row(box)["ended_at"]) == when(lease["expires_at"]) == lab.now
    assert {"cloudwatch", "ec2"} <= lab.hit


def test_what_hangs_does_not_delay_a_kill(lab: Lab) -> None:
    """With metrics and prices three seconds late, an expired box ends in its own sweep all the same."""
    lease = two_leases(lab)
    lab.minutes(4)
    lab.fault(service="cloudwatch", operation="*", rate=1, delay_seconds=3)
    lab.fault(service="ec2", operation="DescribeSpotPriceHistory", rate=1, delay_seconds=3)
    lab.minutes(1)
    (box,) = lease["instance_ids"]
    assert when(lab.row(box)["ended_at"]) == when(lease["expires_at"]) == lab.now
    assert lab.hit == {"cloudwatch", "ec2"}


def test_sweeps_at_the_same_moment_do_nothing_twice(lab: Lab) -> None:
    """Eight sweeps at once end an idle box once: one cancel, one terminate, one receipt, one message."""
    (box,) = lab.launch(request_type="persistent")["instance_ids"]
    lab.minutes(13)
    lab.policy(idle={**SHORT, "warn_before": "PT0S"})
    answers = lab.many([("POST", "/sweeps", {})] * 8)
    assert {status for status, _ in answers} == {200}
    lab.minutes(3)
    assert len(lab.calls("CancelSpotInstanceRequests")) == 1
    assert len(lab.calls("TerminateInstances", about=box)) == 1
    assert len(lab.receipts()) == 1
    assert len(lab.said(f"Ended {box}")) == 1


@pytest.mark.parametrize("path", ["leases", "spot-requests", "instances"])
def test_each_delete_ends_the_box_and_answers_one_receipt(lab: Lab, path: str) -> None:
    """A lease, its request and its instance are three names of one end; the same DELETE again answers its receipt."""
    lease = lab.launch(request_type="persistent", gpu=90)
    lab.minutes(1)
    name = {
        "leases": lease["id"],
        "spot-requests": lease["spot_request_ids"][0],
        "instances": lease["instance_ids"][0],
    }[path]
    status, receipt = lab.api("DELETE", f"/{path}/{name}")
    assert status in (200, 202)
    assert receipt["cause"] == "requested"
    lab.minutes(2)
    assert lab.alive() == set()
    status, again = lab.api("DELETE", f"/{path}/{name}")
    assert (status, again["status"], again["id"]) == (200, "done", lease["id"])
    assert len(lab.receipts()) == 1


def test_deleting_a_cancelled_request_ends_the_box_that_runs_on(lab: Lab) -> None:
    """Somebody cancelled the request in the console; its box runs on until DELETE /spot-requests ends it."""
    lab.policy(unleased={"effect": "warn"})
    row = lab.start(market="persistent", gpu=90)
    lab.cancel(row["spot_request_id"])
    lab.minutes(1)
    assert lab.state(row["id"]) == "running"
    status, _ = lab.api("DELETE", f"/spot-requests/{row['spot_request_id']}")
    assert status in (200, 202)
    lab.minutes(2)
    assert lab.alive() == set()


def test_an_unknown_and_a_protected_id_shield_nobody(lab: Lab) -> None:
    """Of three expired boxes one is protected against termination: the others end, it is stopped and reported."""
    lab.policy(unleased={"for": "PT15M", "grace": "PT5M"})
    boxes = [lab.start(gpu=90, zone="us-east-1a")["id"] for _ in range(3)]
    lab.protect_from_termination(boxes[0])
    lab.minutes(18)
    assert [lab.state(box) for box in boxes] == ["stopped", "terminated", "terminated"]
    assert lab.said(boxes[0], "Could not end")
    lab.policy(teardown={"lift_termination_protection": True})
    lab.minutes(3)
    assert lab.alive() == set()
