"""The closing table: what each box cost, how and why it ended, and what it would have cost unguarded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from localaws.demo.play import Cast, Part
from localaws.demo.stage import when

HEAD = ("box", "type", "what it did", "ended", "why", "it cost", "unguarded, to the month's end")
HOUR = timedelta(hours=1)


def ledger(cast: Cast, truth: dict[str, Any]) -> Iterator[str]:
    """The table, line by line. Costs are what AWS billed; unguarded, each box goes on at the rate it really had."""
    now = when(truth["now"])
    rows, paid, unguarded = [], Decimal(0), Decimal(0)
    for part in cast.parts:
        lives = _lives(part, truth)
        cost = sum((Decimal(life["billed_usd"]) for life in lives), Decimal(0))
        rest = _unguarded(lives, cost, now)
        paid, unguarded = paid + cost, unguarded + rest
        ended_at = lives[-1]["ended_at"]
        ended = f"{when(ended_at):%H:%M}" if ended_at else "runs on"
        rows.append(
            (
                part.name,
                lives[0]["type"],
                part.does,
                ended,
                _why(cast, part, ended_at),
                f"${cost:.2f}",
                f"${rest:.2f}",
            )
        )
    refused = cast.refusal[1]
    why = f"409 {refused['type'].rpartition('/')[2]}"
    rows.append(("refused", "p4d.24xlarge", "did not fit the budget", "never ran", why, "$0.00", "-"))
    rows.append(("", "", "", "", "in all", f"${paid:.2f}", f"${unguarded:.2f}"))
    widths = [max(len(row[column]) for row in [HEAD, *rows]) for column in range(len(HEAD))]
    for row in [HEAD, tuple("-" * width for width in widths), *rows]:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _lives(part: Part, truth: dict[str, Any]) -> list[dict[str, Any]]:
    """The box of a part and whatever AWS started in its place."""
    return [
        row
        for row in truth["instances"]
        if row["id"] == part.instance_id
        or (part.spot_request_id and row["spot_request_id"] == part.spot_request_id)
    ]


def _why(cast: Cast, part: Part, ended_at: str | None) -> str:
    if ended_at is None:
        return "it is at work"
    receipt = cast.receipts.get(part.instance_id)
    return f"{receipt['cause']}: {receipt['reason']}" if receipt else "no receipt"


def _unguarded(lives: list[dict[str, Any]], cost: Decimal, now: datetime) -> Decimal:
    launched = when(lives[0]["launched_at"])
    ran = sum(
        ((when(life["ended_at"]) if life["ended_at"] else now) - when(life["launched_at"]) for life in lives),
        timedelta(0),
    )
    month_end = (launched.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0, second=0)
    return cost / Decimal(ran / HOUR) * Decimal((month_end - launched) / HOUR)
