"""GET /receipts: which ends are asked for."""

from datetime import UTC, datetime, timedelta

from pydantic import Field, TypeAdapter

from chalicelib.ports import ReceiptFilter
from chalicelib.web.models import REGION, PageQuery, Printable

_DATE = (
    r"20\d\d-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))"
    r"|20([02468][048]|[13579][26])-02-29"
)
_ZONE = r"(Z|[+-](0\d|1[0-4]):[0-5]\d)"
_TIME = rf"T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{{1,6}})?)?{_ZONE}?"
_AGO = r"P\d{1,5}[DW]|P(\d{1,5}D)?T(\d{1,6}H(\d{1,6}M)?(\d{1,6}S)?|\d{1,6}M(\d{1,6}S)?|\d{1,6}S)"
MOMENT = rf"^(({_DATE})({_TIME})?|{_AGO})$"
"""Nothing passes that is no time: what the schema allows is answered."""
FORM = "a time such as 2026-11-22T18:00:00Z (UTC where it names no zone; write a + as %2B) or how long ago, as PT12H"

_LENGTH = TypeAdapter(timedelta)


class ReceiptQuery(PageQuery):
    """GET /receipts."""

    since: str | None = Field(default=None, pattern=MOMENT, description=f"ends decided from then on: {FORM}")
    until: str | None = Field(default=None, pattern=MOMENT, description=f"ends decided before: {FORM}")
    owner: str | None = Field(
        default=None,
        pattern=Printable,
        max_length=256,
        description="whose leases, as their receipts name them",
    )
    region: str | None = Field(
        default=None, pattern=REGION, description="such as us-east-1; all regions when absent"
    )


def wanted(query: ReceiptQuery, now: datetime) -> ReceiptFilter:
    """What a query asks for."""
    return ReceiptFilter(
        since=_moment(query.since, now) if query.since else None,
        until=_moment(query.until, now) if query.until else None,
        owner=query.owner,
        region=query.region,
    )


def _moment(text: str, now: datetime) -> datetime:
    if text.startswith("P"):
        return now - _LENGTH.validate_python(text)
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
