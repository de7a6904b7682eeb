"""Budgets and holds, over HTTP and against what AWS bills."""

from decimal import Decimal

from tests.e2e.kit import IMAGE, Lab

ORDER = {"image": IMAGE, "instance_types": ["g5.xlarge"], "egress_gb": 0, "hours": 1}


def budget(lab: Lab, limit: str, *, force: bool = False) -> tuple[int, dict]:
    """Put the account's budget."""
    query = "?force=true" if force else ""
    return lab.api("PUT", f"/budgets/account{query}", {"limit_usd": limit, "period": "monthly"})


def test_a_launch_that_does_not_fit_starts_nothing(lab: Lab) -> None:
    """409 budget-exceeded, with nothing running and nothing held."""
    budget(lab, "1.00")
    status, problem = lab.api("POST", "/spot-requests", ORDER | {"hours": 8})
    assert (status, problem["type"]) == (409, "/problems/budget-exceeded")
    assert lab.truth["instances"] == []
    assert lab.ok("GET", "/budgets/account")["left_usd"] == "1.00"


def test_launches_at_once_never_hold_more_than_the_budget(lab: Lab) -> None:
    """Twenty launches at the same moment into a budget for five, with the table in conflict: five run."""
    hold = Decimal(lab.ok("POST", "/spot-requests", ORDER | {"dry_run": True})["hold_usd"])
    budget(lab, str(hold * 5))
    lab.policy(lease={"max_open_per_owner": 100})
    lab.fault(service="dynamodb", operation="TransactWriteItems", rate=0.3, code="TransactionConflict")
    answers = lab.many([("POST", "/spot-requests", ORDER)] * 20)
    lab.mend()
    assert sorted(status for status, _ in answers) == [201] * 5 + [409] * 15
    assert len(lab.alive()) == 5
    assert Decimal(lab.ok("GET", "/budgets/account")["left_usd"]) == 0


def test_the_end_of_a_lease_gives_back_what_it_did_not_cost(lab: Lab) -> None:
    """After a lease is closed only what it cost is gone from its budget."""
    budget(lab, "10")
    (box,) = (lease := lab.launch(hours=2, gpu=90))["instance_ids"]
    assert Decimal(lab.ok("GET", "/budgets/account")["left_usd"]) == 10 - Decimal(lease["hold_usd"])
    lab.minutes(10)
    lab.api("DELETE", f"/leases/{lease['id']}")
    lab.minutes(2)
    report = lab.ok("GET", "/budgets/account")
    assert Decimal(report["held_usd"]) == 0
    assert Decimal(report["left_usd"]) == 10 - Decimal(report["spent_usd"])
    assert abs(Decimal(report["spent_usd"]) - lab.billed(box)) < Decimal("0.01")


def test_a_limit_below_what_is_held_needs_force_and_then_ends_leases(lab: Lab) -> None:
    """409 names the leases that would end, in order; with force they end and the rest goes on."""
    budget(lab, "10")
    first = lab.launch(hours=1, gpu=90)
    later = lab.launch(hours=2, gpu=90)
    keep = str(Decimal(first["hold_usd"]) + Decimal("0.50"))
    status, problem = budget(lab, keep)
    assert (status, problem["ending"]) == (409, [later["id"]])
    status, report = budget(lab, keep, force=True)
    assert (status, report["ending"]) == (200, [later["id"]])
    lab.minutes(2)
    assert lab.alive() == set(first["instance_ids"])


def test_a_budget_made_while_boxes_run_holds_them_too(lab: Lab) -> None:
    """What was launched before the budget counts on it."""
    lease = lab.launch(hours=1, gpu=90)
    budget(lab, "10")
    assert Decimal(lab.ok("GET", "/budgets/account")["left_usd"]) == 10 - Decimal(lease["hold_usd"])


def test_a_lease_is_extended_only_within_its_budget(lab: Lab) -> None:
    """PATCH holds more first: it fits, or it is refused and nothing changes."""
    budget(lab, "3")
    lease = lab.launch(hours=1, gpu=90)
    longer = lab.ok("PATCH", f"/leases/{lease['id']}", {"hours": 2})
    assert Decimal(longer["hold_usd"]) > Decimal(lease["hold_usd"])
    status, problem = lab.api("PATCH", f"/leases/{lease['id']}", {"hours": 20})
    assert (status, problem["type"]) == (409, "/problems/budget-exceeded")
    assert lab.ok("GET", f"/leases/{lease['id']}")["expires_at"] == longer["expires_at"]


def test_a_launch_whose_answer_is_lost_starts_one_box(lab: Lab) -> None:
    """CreateFleet took effect and its answer never came: the replay finds the same box."""
    lab.fault(service="ec2", operation="CreateFleet", rate=1, times=2, lost_answer=True, code="InternalError")
    status, lease = lab.api("POST", "/spot-requests", ORDER)
    assert status in (201, 202)
    lab.minutes(3)
    lab.mend()
    assert lab.ok("GET", f"/leases/{lease['id']}")["instance_ids"] == list(lab.alive())
    assert len(lab.alive()) == 1


def test_a_launch_that_never_took_effect_gives_its_hold_back(lab: Lab) -> None:
    """EC2 fails for good: nothing runs, and a few minutes later nothing is held."""
    budget(lab, "10")
    lab.fault(service="ec2", operation="CreateFleet", rate=1, code="InternalError")
    status, _ = lab.api("POST", "/spot-requests", ORDER)
    assert status in (202, 409)
    lab.mend()
    lab.minutes(8)
    assert lab.truth["instances"] == []
    assert Decimal(lab.ok("GET", "/budgets/account")["left_usd"]) == 10


def test_the_same_idempotency_key_launches_once(lab: Lab) -> None:
    """The same key and body is one lease; another body is refused."""
    answers = [lab.keyed("monday", ORDER) for _ in range(3)]
    assert [status for status, _ in answers] == [201] * 3
    assert len({lease["id"] for _, lease in answers}) == 1
    assert len(lab.alive()) == 1
    status, problem = lab.keyed("monday", ORDER | {"hours": 2})
    assert (status, problem["type"]) == (409, "/problems/idempotency-key-reused")
