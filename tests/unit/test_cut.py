"""cut_to_fit: which leases end when a limit is lowered by force, and in which order."""

from dataclasses import replace

from chalicelib.domain.case import Verdict
from chalicelib.domain.cut import Cut, cut_to_fit
from chalicelib.domain.decide import decide
from chalicelib.domain.evidence import unknown
from chalicelib.domain.lease import Hold, Status
from chalicelib.domain.meter import Cost
from tests.builders import HOUR, at, busy_at, case, idle_since, lease, usd


def judged(name: str, *, hours: int = 8, hourly: int = 1, idle: bool = False, accrued: int = 0) -> Verdict:
    return decide(
        case(
            at("12:00"),
            lease=lease(id=name, expires_at=at("09:00") + hours * HOUR, hold=Hold(compute_usd=usd(10))),
            cost=Cost(compute_usd=usd(accrued), hourly_usd=usd(hourly)),
            evidence=idle_since(at("11:30")) if idle else busy_at(at("12:00")),
        )
    )


NOVEMBER, DECEMBER = "2026-11", "2026-12"


def cut(verdicts: list[Verdict], *, used: int, limit: int) -> Cut:
    """In one period, where each gives back its hold less what it has cost."""
    frees = {
        v.case.lease.id: {NOVEMBER: v.case.lease.hold.total_usd - v.case.cost.accrued_usd}
        for v in verdicts
        if v.case.lease
    }
    return cut_to_fit(verdicts, frees_usd=frees, used_usd={NOVEMBER: usd(used)}, limit_usd=usd(limit))


def test_idle_first_then_the_latest_expiry_then_the_costliest() -> None:
    """The order of the documents, and no more leases than needed."""
    all_of_them = [
        judged("late", hours=20),
        judged("cheap", hours=10, hourly=1),
        judged("dear", hours=10, hourly=5),
        judged("idle", hours=4, idle=True),
    ]
    assert cut(all_of_them, used=40, limit=0).leases == (
        "idle",
        "late",
        "dear",
        "cheap",
    )
    assert cut(all_of_them, used=40, limit=25).leases == ("idle", "late")


def test_what_fits_ends_nothing() -> None:
    """A limit that holds what is spent and held touches no lease."""
    assert cut([judged("one")], used=10, limit=10).leases == ()


def test_an_end_frees_the_hold_less_what_it_has_cost() -> None:
    """Money that is spent does not come back."""
    both = [judged("late", hours=20, accrued=9), judged("early", accrued=0)]
    assert cut(both, used=20, limit=15).leases == ("late", "early")


def test_what_ends_already_is_not_counted_again() -> None:
    """A lease that is ending is on its way out by itself."""
    one = judged("one")
    assert one.case.lease is not None
    ending = replace(one, case=replace(one.case, lease=replace(one.case.lease, status=Status.ENDING)))
    assert cut([ending], used=20, limit=0).leases == ()


def test_unknown_evidence_is_not_idle() -> None:
    """What nobody knows does not make a box the first to go."""
    blind = decide(
        case(at("12:00"), lease=lease(id="blind", expires_at=at("13:00")), evidence=unknown("no metric"))
    )
    later = judged("later", hours=20)
    assert cut([blind, later], used=20, limit=0).leases[0] == "later"


def test_each_period_has_to_fit_and_only_what_helps_ends() -> None:
    """A lease that holds nothing in the period that is too full is left alone, whatever its place in the order."""
    late, early, idle = judged("late", hours=20), judged("early"), judged("idle", idle=True)
    frees = {"late": {NOVEMBER: usd(1), DECEMBER: usd(9)}, "early": {NOVEMBER: usd(10)}, "idle": {}}
    used = {NOVEMBER: usd(11), DECEMBER: usd(9)}
    told = cut_to_fit([late, early, idle], frees_usd=frees, used_usd=used, limit_usd=usd(10))
    assert (told.leases, told.period_key, told.is_over) == (("late",), NOVEMBER, True)
    told = cut_to_fit([late, early, idle], frees_usd=frees, used_usd={DECEMBER: usd(9)}, limit_usd=usd(8))
    assert (told.leases, told.period_key, told.used_usd) == (("late",), DECEMBER, usd(9))
