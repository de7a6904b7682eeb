"""What a warning's link answers: a page for people, the same as JSON for programs; what comes from a tag is escaped."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from html import escape
from string import Template
from typing import Literal, NotRequired

from chalice.app import Request
from typing_extensions import TypedDict

from chalicelib.domain.lease import Lease, Status
from chalicelib.domain.money import show
from chalicelib.usecases.snooze import Offer
from chalicelib.web.encode import plain
from chalicelib.web.endpoint import Answer
from chalicelib.web.problems import Problem


class SnoozedLease(TypedDict):
    """The lease that a link is for."""

    id: str
    status: Status
    owner: str
    region: str
    instance_ids: list[str]
    expires_at: datetime
    snoozed_until: datetime | None
    accrued_usd: Decimal
    hourly_usd: Decimal


class LinkAnswer(TypedDict):
    """What a link does."""

    keeps_for: timedelta | None
    works_until: datetime


class LongerBody(TypedDict):
    """How long the lease would have to last; empty where its time is enough."""

    hours: NotRequired[int]


class LongerAnswer(TypedDict):
    """The call that keeps a box for longer; none where its lease is ending or over."""

    method: Literal["PATCH"]
    path: str
    body: LongerBody
    why: str


class SnoozeAnswer(TypedDict):
    """What a warning's link is for, or has done."""

    lease: SnoozedLease
    link: LinkAnswer
    is_kept: bool
    keeps_until: datetime | None
    to_keep_longer: LongerAnswer | None


HTML = "text/html; charset=utf-8"
GUARDED: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
"""A page in nobody's frame, that loads and leaks nothing: its address is what lets one keep the box."""

PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>$title</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:3em auto;padding:0 1em}
button{font:inherit;padding:.5em 1em}dt{color:#555}dd{margin:0 0 .5em}</style></head>
<body><h1>$title</h1>$body</body></html>
""")


def _wants_page(headers: Mapping[str, str]) -> bool:
    """Whether whoever calls reads pages: browsers say so, programs don't."""
    return "text/html" in headers.get("accept", "").lower()


def answer(offer: Offer, headers: Mapping[str, str]) -> Answer:
    """The offer as a page or as JSON."""
    if _wants_page(headers):
        return Answer(body=_page(offer), headers={"Content-Type": HTML, **GUARDED}, subject=offer.lease.id)
    return Answer(body=_document(offer), headers=GUARDED, subject=offer.lease.id)


def refused(problem: Problem, request: Request) -> Answer | None:
    """A refusal as a page, to whoever reads pages."""
    if not _wants_page(request.headers):
        return None
    title, detail = (escape(str(problem.body.get(member, ""))) for member in ("title", "detail"))
    body = PAGE.substitute(title=title, body=f"<p>{detail}</p>")
    return Answer(status=problem.status, body=body, headers={"Content-Type": HTML, **GUARDED})


def _document(offer: Offer) -> object:
    lease = offer.lease
    return {
        "lease": {
            "id": lease.id,
            "status": lease.status,
            "owner": lease.owner,
            "region": lease.region,
            "instance_ids": lease.instance_ids,
            "expires_at": lease.expires_at,
            "snoozed_until": lease.snoozed_until,
            "accrued_usd": offer.cost.accrued_usd,
            "hourly_usd": offer.cost.hourly_usd,
        },
        "link": {"keeps_for": offer.claim.purpose.keeps_for, "works_until": offer.claim.expires_at},
        "is_kept": offer.is_done,
        "keeps_until": offer.keeps_until,
        "to_keep_longer": plain(_patch(offer)) if lease.status is Status.ACTIVE else None,
    }


def _patch(offer: Offer) -> Mapping[str, object]:
    """The call that holds more money for more time; its hours count from the lease's start."""
    return {
        "method": "PATCH",
        "path": f"/leases/{offer.lease.id}",
        "body": {"hours": offer.hours_for_more} if offer.hours_for_more else {},
        "why": "a link never moves the lease's own end, for which no more is held; PATCH with hours does",
    }


def _page(offer: Offer) -> str:
    lease, until = offer.lease, offer.keeps_until
    types = "/".join(dict.fromkeys(run.instance_type for run in lease.runs))
    facts = {
        "Box": f"{types} {', '.join(lease.instance_ids) or lease.id}",
        "Owner": f"{lease.owner}, {lease.region}",
        "Costs": f"{show(offer.cost.hourly_usd)} an hour, {show(offer.cost.accrued_usd)} so far",
        "Lease": f"{lease.id}, {_when(lease)}",
        "Kept until": _time(lease.snoozed_until) if lease.snoozed_until else "",
    }
    listed = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(told)}</dd>" for name, told in facts.items() if told
    )
    more = ""
    if until and offer.hours_for_more:
        call = f'PATCH /leases/{lease.id} {{"hours": {offer.hours_for_more}}}'
        more = f"<p>Its lease ends then. To keep it longer: <code>{escape(call)}</code></p>"
    if offer.is_done and until:
        return _whole(f"Kept until {_time(until)}", f"<dl>{listed}</dl>{more}")
    if until:
        button = f'<form method="post"><button>Keep it until {escape(_time(until))}</button></form>'
        return _whole("Keep this box?", f"<dl>{listed}</dl>{button}{more}")
    return _whole("A box that Curfew guards", f"<dl>{listed}</dl>")


def _when(lease: Lease) -> str:
    if lease.closed_at:
        return f"{lease.status} since {_time(lease.closed_at)}"
    return f"{lease.status}, ends at {_time(lease.expires_at)} at the latest"


def _whole(title: str, body: str) -> str:
    return PAGE.substitute(title=escape(title), body=body)


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
