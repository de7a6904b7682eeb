"""Moments that callers send: a date, a time, or how long ago."""

from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter

_DATE = (
    r"20\d\d-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))"
    r"|20([02468][048]|[13579][26])-02-29"
)
_ZONE = r"(Z|[+-](0\d|1[0-4]):[0-5]\d)"
_TIME = rf"T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{{1,6}})?)?{_ZONE}?"
_AGO = r"P\d{1,5}[DW]|P(\d{1,5}D)?T(\d{1,6}H(\d{1,6}M)?(\d{1,6}S)?|\d{1,6}M(\d{1,6}S)?|\d{1,6}S)"
TIME = rf"^({_DATE})({_TIME})?$"
MOMENT = rf"^(({_DATE})({_TIME})?|{_AGO})$"
"""Nothing passes that is no time: what the schema allows is answered."""
FORM = "a time such as 2026-11-22T18:00:00Z (UTC where it names no zone; write a + as %2B) or how long ago, as PT12H"

_LENGTH = TypeAdapter(timedelta)


def moment(text: str, now: datetime) -> datetime:
    """What matched one of these patterns."""
    if text.startswith("P"):
        return now - _LENGTH.validate_python(text)
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
