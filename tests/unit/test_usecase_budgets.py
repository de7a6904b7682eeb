"""Budgets: what is spent, held and left; limits that move, and what ends when one is forced."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest

from chalicelib.domain.budget import Period, ScopeKind
from chalicelib.domain.errors import BudgetExceeded, NotFound, Refused, Stale
from chalicelib.domain.lease import Status
from chalicelib.usecases import budgets
from chalicelib.usecases.end import end_lease
from tests.builders import HOUR, MINUTE, REGION, Stage, at, budget, minutes, usd
from tests.doubles.accidents import Crash


def test_a_budget_tells_what_is_spent_held_and_left() -> None:
    """The three add up to the limit, whatever is open or closed."""
    stage = Stage()
    stage.put_budget()
    done = stage.launch(lasts_for=4 * HOUR)
    stage.until(at("11:00"))
    end_lease(stage.services, done.id, by="ada")
    running = stage.launch(lasts_for=4 * HOUR)
    stage.until(at("12:00"))
    report = budgets.one(stage.services, "team")
    cost = stage.receipt(done.id).cost_usd
    assert cost + 1 < report.spent_usd < cost + usd("1.1")
    assert report.left_usd == stage.left()
    assert report.spent_usd + report.held_usd + report.left_usd == 100
    assert usd(0) < report.held_usd < running.hold.total_usd
    assert [one.budget.name for one in budgets.all_budgets(stage.services)] == ["team"]


def test_a_new_budget_counts_what_was_there_before_it() -> None:
    """Closed leases of its period by their cost, open ones by their hold."""
    stage = Stage()
    done = stage.launch(lasts_for=4 * HOUR)
    stage.until(at("11:00"))
    end_lease(stage.services, done.id, by="ada")
    running = stage.launch(lasts_for=4 * HOUR)
    stage.launch(owner="bob")
    report = stage.put_budget("ada", 50, scope_kind=ScopeKind.OWNER, scope_value="ada")
    cost = stage.receipt(done.id).cost_usd
    assert abs(report.left_usd - (50 - cost - running.hold.total_usd)) < usd("0.00001")


def test_what_closed_before_the_period_is_not_counted() -> None:
    """A daily budget made at ten knows nothing of yesterday."""
    stage = Stage()
    done = stage.launch(lasts_for=4 * HOUR)
    end_lease(stage.services, done.id, by="ada")
    stage.clock.advance(25 * HOUR)
    assert stage.put_budget("day", 50, period=Period.DAILY).left_usd == 50
    assert stage.put_budget("all", 50, period=Period.TOTAL).left_usd < 50


def test_raising_and_lowering_move_what_is_left() -> None:
    """A limit that still holds everything is changed without a word."""
    stage = Stage()
    stage.put_budget()
    lease = stage.launch()
    assert stage.put_budget(limit=200).left_usd == usd(200) - lease.hold.total_usd
    assert stage.put_budget(limit=50).left_usd == usd(50) - lease.hold.total_usd
    assert stage.alive


def test_a_limit_below_what_is_spent_and_held_is_refused_and_lists_what_would_end() -> None:
    """409, and nothing has changed."""
    stage = Stage()
    stage.put_budget()
    first = stage.launch(lasts_for=4 * HOUR)
    second = stage.launch(lasts_for=8 * HOUR)
    with pytest.raises(BudgetExceeded) as told:
        stage.put_budget(limit=10)
    assert told.value.extra["ending"] == [second.id]
    assert stage.left() == usd(100) - first.hold.total_usd - second.hold.total_usd
    assert len(stage.alive) == 2


def test_forced_it_ends_leases_in_order_until_the_rest_fits() -> None:
    """The latest expiry goes, the other stays, and both answers list the same."""
    stage = Stage()
    stage.put_budget()
    first = stage.launch(lasts_for=4 * HOUR)
    second = stage.launch(lasts_for=8 * HOUR)
    report = stage.put_budget(limit=10, force=True)
    assert report.ending == (second.id,)
    assert stage.alive == list(first.instance_ids)
    assert "by force" in stage.receipt(second.id).reason
    assert report.left_usd > 0


def test_forced_the_idle_one_goes_first() -> None:
    """Idle before the latest expiry."""
    stage = Stage()
    stage.put_budget()
    idle = stage.launch(lasts_for=4 * HOUR)
    busy = stage.launch(lasts_for=8 * HOUR)
    stage.works(idle.instance_ids[0], 0, since=at("09:00"), until=at("20:00"))
    stage.works(busy.instance_ids[0], 90, since=at("09:00"), until=at("20:00"))
    stage.until(at("09:55"))
    assert stage.put_budget(limit=15, force=True).ending == (idle.id,)
    assert stage.alive == list(busy.instance_ids)


def test_forced_one_of_which_nothing_is_known_counts_as_at_work() -> None:
    """The order puts first what is known to be idle, and then goes by expiry."""
    stage = Stage()
    stage.put_budget()
    idle = stage.launch(lasts_for=4 * HOUR)
    unknown = stage.launch(lasts_for=8 * HOUR)
    stage.works(idle.instance_ids[0], 0, since=at("09:00"), until=at("20:00"))
    stage.until(at("09:55"))
    with pytest.raises(BudgetExceeded) as told:
        stage.put_budget(limit=2)
    assert told.value.extra["ending"] == [idle.id, unknown.id]
    assert f"in this order: {idle.id}, {unknown.id}" in told.value.detail


def test_forced_nothing_is_ended_that_a_service_runs_or_that_has_its_grace() -> None:
    """What a service runs stays; so does one that was adopted a moment ago."""
    stage = Stage()
    stage.put_budget()
    run, fresh = stage.compute.start(), stage.compute.start()
    stage.sweep()
    stage.compute.box(run).managed_by = "EMR"
    assert len(stage.store.open_leases()) == 2
    report = stage.put_budget(limit=1, force=True)
    assert report.ending == ()
    assert set(stage.alive) == {run, fresh}
    stage.clock.advance(minutes(31))
    assert len(stage.put_budget(limit="0.5", force=True).ending) == 1
    assert stage.alive == [run]


def test_a_limit_below_what_is_spent_needs_force_also_when_nothing_is_left_to_end() -> None:
    """Spent is spent: the caller is told."""
    stage = Stage()
    done = stage.launch(lasts_for=4 * HOUR)
    stage.until(at("11:00"))
    end_lease(stage.services, done.id, by="ada")
    with pytest.raises(BudgetExceeded) as told:
        stage.put_budget(limit=1)
    assert told.value.extra["ending"] == []
    assert "no lease ends" in told.value.detail
    assert stage.put_budget(limit=1, force=True).left_usd < 0


def test_period_and_scope_stay_what_they_are() -> None:
    """What is held was reserved by them."""
    stage = Stage()
    stage.put_budget()
    for change in ({"period": Period.DAILY}, {"scope_kind": ScopeKind.OWNER, "scope_value": "ada"}):
        with pytest.raises(Refused) as told:
            budgets.put(stage.services, replace(budget(), **change), force=True)
        assert told.value.slug == "budget-fixed"


def test_a_deleted_budget_limits_nothing_and_may_be_made_anew() -> None:
    """The leases on it go on, and a new one of that name counts them."""
    stage = Stage()
    stage.put_budget()
    lease = stage.launch()
    budgets.delete(stage.services, "team")
    with pytest.raises(NotFound):
        budgets.one(stage.services, "team")
    with pytest.raises(NotFound):
        budgets.delete(stage.services, "team")
    assert stage.put_budget(limit=40).left_usd == usd(40) - lease.hold.total_usd
    end_lease(stage.services, lease.id, by="ada")
    assert stage.left() > usd("39.9")


def test_two_changes_at_once_both_count() -> None:
    """Whoever was overtaken works it out anew."""
    stage = Stage()
    stage.put_budget()

    def another(method: str, phase: str) -> None:
        if (method, phase) == ("put_budget", "before"):
            stage.store.hook = lambda *_: None
            stage.put_budget("other", 70)

    stage.store.hook = another
    stage.put_budget(limit=80)
    assert stage.left("team") == 80
    assert stage.left("other") == 70


def test_a_launch_between_a_budget_s_reading_and_writing_is_charged_once() -> None:
    """It ends up on the new budget with its hold, not twice and not never."""
    stage = Stage()

    def launch_meanwhile(method: str, phase: str) -> None:
        if (method, phase) == ("put_budget", "before"):
            stage.store.hook = lambda *_: None
            stage.launch()

    stage.store.hook = launch_meanwhile
    stage.put_budget()
    stage.after(MINUTE)
    assert stage.left() == usd(100) - stage.only_lease().hold.total_usd


# -- a budget that is made or changed while leases come and go ---------------------------------------------------------

BIG = {"lasts_for": 72 * HOUR, "instance_types": ("p5.48xlarge",)}


def once(stage: Stage, method: str, phase: str, act: Callable[[], object]) -> None:
    """Let somebody act at that moment, the first time it comes."""

    def hook(called: str, at_phase: str) -> None:
        if (called, at_phase) == (method, phase):
            stage.store.hook = lambda *_: None
            act()

    stage.store.hook = hook


def test_a_new_budget_carries_a_launch_that_is_still_under_way() -> None:
    """Its answer is not known yet; its hold counts all the same, and a second one finds no room."""
    stage = Stage()
    stage.compute.fail("launch", times=3, code="ServiceUnavailable", takes_effect=True)
    under_way = stage.launch(budget_usd=usd(50), **BIG)
    assert under_way.status is Status.REQUESTED
    assert stage.put_budget(limit=60).left_usd == 10
    with pytest.raises(BudgetExceeded):
        stage.launch(budget_usd=usd(50), **BIG)


def test_a_launcher_goes_on_with_a_lease_that_a_new_budget_has_charged() -> None:
    """Its record has changed under its hands, in its charges alone."""
    for attempts_saved in (0, 1):
        stage = Stage()
        stage.compute.ec2.no_capacity.add((REGION, "g4dn.xlarge"))
        saved = count()

        def make(method: str, phase: str, stage: Stage = stage, nth: int = attempts_saved) -> None:
            if (method, phase) == ("save_lease", "before") and next(saved) == nth:  # noqa: B023
                stage.store.hook = lambda *_: None
                stage.put_budget()

        stage.store.hook = make
        lease = stage.launch(instance_types=("g4dn.xlarge", "g5.xlarge"))
        assert lease.status is Status.ACTIVE
        assert stage.left() == usd(100) - lease.hold.total_usd
        end_lease(stage.services, lease.id, by="ada")
        assert stage.left() > usd("99.9")


def test_no_launch_is_admitted_against_a_budget_that_is_not_filled_yet() -> None:
    """It is told to ask again; once the open leases are charged there is no room."""
    stage = Stage()
    stage.launch(budget_usd=usd(50), **BIG)

    def try_it() -> None:
        with pytest.raises(Stale):
            stage.launch(budget_usd=usd(50), **BIG)

    once(stage, "put_budget", "after", try_it)
    assert stage.put_budget(limit=60).left_usd == 10
    with pytest.raises(BudgetExceeded):
        stage.launch(budget_usd=usd(50), **BIG)


def test_a_budget_whose_maker_died_is_filled_by_the_next_sweep() -> None:
    """Until then nobody is admitted in its scope, and after it the old leases count."""
    stage = Stage()
    stage.launch(budget_usd=usd(50), **BIG)
    stage.store.inject("put_budget", Crash(), after=True)
    with pytest.raises(Crash):
        stage.put_budget(limit=60)
    with pytest.raises(Stale):
        stage.launch(budget_usd=usd(20), **BIG)
    stage.after(MINUTE)
    assert stage.left() == 10
    stage.put_budget(limit=100)
    assert stage.launch(budget_usd=usd(50), **BIG).status is Status.ACTIVE


def test_a_limit_is_not_lowered_below_a_launch_that_comes_first() -> None:
    """Without force it is refused, and the refusal names the lease that came."""
    stage = Stage()
    stage.put_budget()
    once(stage, "put_budget", "before", lambda: stage.launch(budget_usd=usd(90), **BIG))
    with pytest.raises(BudgetExceeded) as told:
        stage.put_budget(limit=20)
    assert told.value.extra["ending"] == [stage.only_lease().id]
    assert stage.left() == 10


def test_a_forced_limit_also_ends_a_launch_that_comes_first() -> None:
    """What is cut is judged by what is held when the limit is written."""
    stage = Stage()
    stage.put_budget()
    once(stage, "put_budget", "before", lambda: stage.launch(budget_usd=usd(90), **BIG))
    assert len(stage.put_budget(limit=20, force=True).ending) == 1
    assert stage.alive == []
    assert stage.left() > 19


@pytest.mark.parametrize("force", [False, True])
def test_a_new_budget_is_judged_again_by_a_launch_that_comes_first(force: bool) -> None:  # noqa: FBT001
    """Without force there is no such budget then; with it, the lease ends."""
    stage = Stage()
    once(stage, "put_budget", "before", lambda: stage.launch(budget_usd=usd(90), **BIG))
    if force:
        assert len(stage.put_budget(limit=20, force=True).ending) == 1
        assert stage.alive == []
    else:
        with pytest.raises(BudgetExceeded):
            stage.put_budget(limit=20)
        assert budgets.all_budgets(stage.services) == ()
        assert len(stage.alive) == 1


def test_a_budget_made_anew_with_another_period_carries_what_is_held() -> None:
    """Charges of the earlier budget of that name are not its own."""
    stage = Stage()
    stage.put_budget(limit=60)
    lease = stage.launch(budget_usd=usd(50), **BIG)
    budgets.delete(stage.services, "team")
    assert stage.put_budget(limit=60, period=Period.DAILY).left_usd == 10
    with pytest.raises(BudgetExceeded):
        stage.launch(budget_usd=usd(50), **BIG)
    end_lease(stage.services, lease.id, by="ada")
    assert stage.left() > usd("59")


def test_a_budget_made_anew_for_another_scope_ends_nobody_else_s_lease() -> None:
    """Project `mine` is out of money, project `other` is not."""
    stage = Stage()
    stage.put_budget(limit=60)
    stage.launch(budget_usd=usd(50), project="other", **BIG)
    budgets.delete(stage.services, "team")
    stage.put_budget(limit=0, force=True, scope_kind=ScopeKind.PROJECT, scope_value="mine")
    stage.until(at("09:02"))
    assert len(stage.alive) == 1
    assert stage.left() == 0


@pytest.mark.parametrize("phase", ["before", "after"])
@pytest.mark.parametrize("is_anew", [False, True])
def test_a_lease_that_closes_while_a_budget_is_made_counts_with_its_cost(phase: str, is_anew: bool) -> None:  # noqa: FBT001
    """Not with its hold for ever, and not with nothing."""
    stage = Stage()
    if is_anew:
        stage.put_budget(period=Period.TOTAL)
    lease = stage.launch(budget_usd=usd(50), **BIG)
    stage.until(at("09:20"))
    if is_anew:
        budgets.delete(stage.services, "team")
    once(stage, "put_budget", phase, lambda: end_lease(stage.services, lease.id, by="ada"))
    stage.put_budget(period=Period.TOTAL)
    stage.after(MINUTE)
    cost = stage.lease(lease.id).final_usd
    assert cost
    assert abs(stage.left() - (100 - cost)) < usd("0.00001")


def test_the_sweep_ends_what_a_forced_limit_was_to_end_before_a_crash() -> None:
    """The limit was written, and with it whom it ends; nobody else."""
    stage = Stage()
    stage.put_budget()
    kept = stage.launch(lasts_for=4 * HOUR)
    doomed = stage.launch(budget_usd=usd(80), **BIG)
    stage.store.inject("put_budget", Crash(), after=True)
    with pytest.raises(Crash):
        stage.put_budget(limit=10, force=True)
    stage.until(at("09:02"))
    assert stage.alive == list(kept.instance_ids)
    assert "by force" in stage.receipt(doomed.id).reason
    assert stage.left() > 0


def test_a_limit_that_is_raised_again_ends_nothing() -> None:
    """Whoever died over a forced limit has left a list; the next limit has its own."""
    stage = Stage()
    stage.put_budget()
    lease = stage.launch(budget_usd=usd(80), **BIG)
    stage.store.inject("put_budget", Crash(), after=True)
    with pytest.raises(Crash):
        stage.put_budget(limit=10, force=True)
    stage.put_budget(limit=90)
    stage.until(at("09:02"))
    assert stage.alive == list(lease.instance_ids)
