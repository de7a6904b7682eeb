"""The bill and the meter, set against each other, day by day.

A day's spend is the bill of what the meter does not model, plus, bucket by bucket, the greater of bill and meter of
what it does: a bill that is late hides nothing, and nothing counts twice. Outgoing data alone is metered by an upper
bound, so a settled bill replaces it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from chalicelib.domain.accelerators import is_accelerator
from chalicelib.domain.bills import COMPUTE, BilledDay, Part, part_of, type_of
from chalicelib.domain.money import ZERO, summed

TOLERATED_PERCENT = 10
IGNORED_USD = Decimal(1)

Amounts = Mapping[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySpend:
    """One day. `metered` and `billed` by part of what the meter models, `outside` the rest of the bill by service.

    `spent_usd`: of the whole account; `accelerators_usd`: of accelerator instances, whose disks, addresses and data
    only the meter can tell. `variance_usd`: bill less meter of their compute; None while there is no bill of the day.
    """

    day: date
    status: str
    """`settled`, `estimated` (the bill may still move) or `unbilled`."""
    metered: Amounts
    billed: Amounts
    outside: Amounts
    spent_usd: Decimal
    accelerators_usd: Decimal
    variance_usd: Decimal | None
    variance_percent: Decimal | None
    """Of the bill; None where that has nothing."""

    @property
    def metered_usd(self) -> Decimal:
        """All that the meter says."""
        return sum(self.metered.values(), ZERO)

    @property
    def billed_usd(self) -> Decimal:
        """All that the bill says so far."""
        return sum(self.billed.values(), ZERO) + sum(self.outside.values(), ZERO)

    @property
    def beyond_meter_usd(self) -> Decimal:
        """What the account's spend has beyond the meter."""
        return self.spent_usd - self.metered_usd

    @property
    def accelerators_beyond_usd(self) -> Decimal:
        """What the spend of accelerator instances has beyond the meter, which is never less than nothing."""
        return self.accelerators_usd - self.metered_usd

    @property
    def is_off(self) -> bool:
        """The bill is settled, and the meter is off by more than 10 % and a dollar."""
        if self.status != "settled" or self.variance_usd is None or abs(self.variance_usd) < IGNORED_USD:
            return False
        return self.variance_percent is None or abs(self.variance_percent) > TOLERATED_PERCENT


def reconcile(day: date, billed: BilledDay | None, metered: Amounts) -> DaySpend:
    """One day of the bill beside the same day of the meter, by bucket."""
    bill: Amounts = billed.modelled if billed else {}
    ours = {key for key in {*bill, *metered} if key in metered or _is_modelled(key)}
    outside = dict(billed.outside) if billed else {}
    for key in bill.keys() - ours:  # boxes that no lease covers and that are no accelerators
        outside[COMPUTE] = outside.get(COMPUTE, ZERO) + bill[key]
    is_settled = billed is not None and billed.is_settled
    greater = {key: _greater(key, bill, metered, is_settled=is_settled) for key in ours}
    compute = [key for key in ours if part_of(key) is Part.COMPUTE]
    of_bill = sum((bill.get(key, ZERO) for key in compute), ZERO)
    variance = None if billed is None else of_bill - sum((metered.get(key, ZERO) for key in compute), ZERO)
    return DaySpend(
        day=day,
        status="unbilled" if billed is None else "settled" if is_settled else "estimated",
        metered=_by_part(metered),
        billed=_by_part({key: bill[key] for key in bill.keys() & ours}),
        outside=dict(sorted(outside.items())),
        spent_usd=sum(greater.values(), ZERO) + sum(outside.values(), ZERO),
        accelerators_usd=sum(
            (greater[key] if part_of(key) is Part.COMPUTE else metered.get(key, ZERO) for key in ours), ZERO
        ),
        variance_usd=variance,
        variance_percent=None if variance is None or of_bill <= 0 else variance / of_bill * 100,
    )


def _is_modelled(key: str) -> bool:
    return part_of(key) is not Part.COMPUTE or is_accelerator(type_of(key))


def _greater(key: str, bill: Amounts, metered: Amounts, *, is_settled: bool) -> Decimal:
    billed = bill.get(key, ZERO)
    if is_settled and part_of(key) is Part.EGRESS:
        return billed
    return max(billed, metered.get(key, ZERO))


def _by_part(amounts: Amounts) -> dict[str, Decimal]:
    sums = summed((part_of(key), usd) for key, usd in amounts.items())
    return {str(part): sums.get(part, ZERO) for part in Part}
