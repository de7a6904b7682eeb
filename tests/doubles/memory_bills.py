"""Cost Explorer in memory, and the part of `MemoryStore` that keeps bills."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from chalicelib.domain.bill_turn import BillTurn
from chalicelib.domain.bills import BillAnswer, BilledDay, BillFailure, BillLine, DayBill, Trouble
from chalicelib.domain.errors import Stale
from chalicelib.domain.notices import Notice
from chalicelib.gateways.dynamodb_bills import TAKEN
from chalicelib.gateways.dynamodb_codec import from_text, to_text
from tests.doubles.accidents import AccidentProne, call


class MemoryBills:
    """Answers what was put in with `bill`; `failure` is answered instead while there is one."""

    def __init__(self) -> None:
        self.failure: BillFailure | None = None
        self.calls: list[tuple[date, date]] = []
        self._lines: dict[date, dict[tuple[str, str], Decimal]] = {}

    def bill(self, day: date, service: str, usage_type: str, usd: str | Decimal) -> None:
        """What a day has of a usage type, from now on."""
        self._lines.setdefault(day, {})[service, usage_type] = Decimal(usd)

    def fail(self, trouble: str = "failed", detail: str = "InternalServerError") -> None:
        """No answers from now on."""
        self.failure = BillFailure(trouble=Trouble(trouble), detail=detail, pages=1)

    def daily(self, since: date, until: date) -> BillAnswer | BillFailure:
        self.calls.append((since, until))
        if self.failure:
            return self.failure
        days = [since + timedelta(days=number) for number in range((until - since).days)]
        bills = tuple(
            DayBill(
                day=day,
                lines=tuple(
                    BillLine(service=service, usage_type=usage_type, usd=usd)
                    for (service, usage_type), usd in self._lines.get(day, {}).items()
                ),
            )
            for day in days
        )
        return BillAnswer(days=bills, pages=1)


class MemoryBillRecords(AccidentProne):
    """Days of the bill, and turns."""

    def __init__(self) -> None:
        super().__init__()
        self._turn: str | None = None
        self._days: dict[date, str] = {}

    @call
    def bill_turn(self) -> BillTurn | None:
        return from_text(BillTurn, self._turn) if self._turn else None

    @call
    def put_bill_turn(self, turn: BillTurn, *, over: datetime | None, notices: Sequence[Notice] = ()) -> None:
        known = from_text(BillTurn, self._turn).asked_at if self._turn else None
        if known != over:
            raise Stale(TAKEN.detail)
        self._turn = to_text(turn)
        self._tell(notices)

    @call
    def put_billed_days(self, days: Sequence[BilledDay]) -> None:
        self._days |= {day.day: to_text(day) for day in days}

    @call
    def billed_days(self, since: date, until: date) -> tuple[BilledDay, ...]:
        return tuple(
            from_text(BilledDay, text) for day, text in sorted(self._days.items()) if since <= day < until
        )

    def _tell(self, notices: Sequence[Notice]) -> None:
        raise NotImplementedError
