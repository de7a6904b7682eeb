"""cut_to_fit: which leases end when a limit is lowered by force, and in which order."""

from dataclasses import replace

from chalicelib.domain.case import Verdict
from chalicelib.domain.cut import cut_to_fit
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


def test_idle_first_then_the_latest_expiry_then_the_costliest() -> None:
    """The order of the documents, and no more leases than needed."""
    all_of_them = [
        judged("late", hours=20),
        judged("cheap", hours=10, hourly=1),
        judged("dear", hours=10, hourly=5),
        judged("idle", hours=4, idle=True),
    ]
    assert cut_to_fit(all_of_them, used_usd=usd(40), limit_usd=usd(0)).leases == (
        "idle",
        "late",
        "dear",
        "cheap",
    )
    assert cut_to_fit(all_of_them, used_usd=usd(40), limit_usd=usd(25)).leases == ("idle", "late")


def test_what_fits_ends_nothing() -> None:
    """A limit that holds what is spent and held touches no lease."""
    assert cut_to_fit([judged("one")], used_usd=usd(10), limit_usd=usd(10)).leases == ()


def test_an_end_frees_the_hold_less_what_it_has_cost() -> None:
    """Money that is spent does not come back."""
    both = [judged("late", hours=20, accrued=9), judged("early", accrued=0)]
    assert cut_to_fit(both, used_usd=usd(20), limit_usd=usd(15)).leases == ("late", "early")


def test_what_ends_already_is_not_counted_again() -> None:
    """A lease that is ending is on its way out by itself."""
    one = judged("one")
    assert one.case.lease is not None
    ending = replace(one, case=replace(one.case, lease=replace(one.case.lease, status=Status.ENDING)))
    assert cut_to_fit([ending], used_usd=usd(20), limit_usd=usd(0)).leases == ()


def test_unknown_evidence_is_not_idle() -> None:
    """What nobody knows does not make a box the first to go."""
    blind = decide(
        case(at("12:00"), lease=lease(id="blind", expires_at=at("13:00")), evidence=unknown("no metric"))
    )
    later = judged("later", hours=20)
    assert cut_to_fit([blind, later], used_usd=usd(20), limit_usd=usd(0)).leases[0] == "later"
