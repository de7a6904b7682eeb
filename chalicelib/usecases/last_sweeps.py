"""The last sweeps of the whole account, which is what the records of events' sweeps stand between."""

from datetime import datetime

from chalicelib.ports import Services, SweepRecord

FIRST, MORE = 20, 200
PAGES = 10
"""A storm of events fills so many pages with sweeps of its own in five minutes; what it may make us read ends."""


def whole_sweeps(services: Services, *, since: datetime) -> list[SweepRecord]:
    """Newest first: those of one page of records, and of more where events fill it, until one is complete or began
    before `since`."""
    whole: list[SweepRecord] = []
    cursor: str | None = None
    for limit in (FIRST, *[MORE] * PAGES):
        page = services.store.sweeps(limit=limit, cursor=cursor)
        whole += [record for record in page.items if record.trigger != "event"]
        cursor = page.next
        if cursor is None or page.items[-1].started_at < since or any(one.is_complete for one in whole):
            break
    return whole
