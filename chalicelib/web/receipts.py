"""GET /receipts: which ends are asked for."""

from datetime import datetime

from pydantic import Field

from chalicelib.ports import ReceiptFilter
from chalicelib.web.models import REGION, PageQuery, Printable
from chalicelib.web.moments import FORM, MOMENT, moment


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


def wanted(query: ReceiptQuery, now: datetime, *, only: str | None = None) -> ReceiptFilter:
    """What a query asks for; where somebody sees `only` their own, of theirs, whomever they name."""
    return ReceiptFilter(
        since=moment(query.since, now) if query.since else None,
        until=moment(query.until, now) if query.until else None,
        owner=only or query.owner,
        region=query.region,
    )
