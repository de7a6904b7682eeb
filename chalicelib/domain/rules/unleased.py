"""unleased: what becomes of a box that nobody launched through Curfew."""

from chalicelib.domain.case import Case, Effect, Finding
from chalicelib.domain.money import exact, show


def unleased(case: Case) -> Finding | None:
    """Warn of a box without a lease, and of an adopted one, with the reason and the hour at which it ends."""
    if case.lease is None:
        reason = case.unleased_because or "no lease covers it"
        hourly = f"it costs {show(case.cost.hourly_usd)} an hour and"
        if any(instance.is_prepaid for instance in case.instances):
            hourly = "its compute is prepaid and costs $0 further;"
        return Finding(
            rule="unleased",
            effect=Effect.WARN,
            reason=f"{hourly} Curfew does not end it: {reason}",
            figures={"hourly_usd": exact(case.cost.hourly_usd)},
        )
    if not case.lease.is_adopted:
        return None
    return Finding(
        rule="unleased",
        effect=Effect.WARN,
        reason=f"nobody launched it through Curfew; adopted at {case.lease.requested_at:%Y-%m-%d %H:%M} UTC",
        figures={
            "adopted_at": case.lease.requested_at.isoformat(),
            "hold_usd": exact(case.lease.hold.total_usd),
        },
        ends_at=case.lease.expires_at,
    )
