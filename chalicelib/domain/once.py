"""A call under an Idempotency-Key is made once: what is kept of it, and what a second one with the same key is told.

The key is its owner's and its route's. Only what was done is remembered, for a day: a call that was refused or that
failed leaves its key free, so that the same key may be sent again once the cause is mended.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chalicelib.domain.errors import InFlight, Refused

KEPT_FOR = timedelta(hours=24)
IN_FLIGHT_FOR = timedelta(seconds=60)
"""An HTTP call lives 30 s at most: one that is older and has no answer has lost its process."""
ASK_AGAIN_SECONDS = 5
"""Most calls are answered by then."""
MOST_BYTES = 300_000
"""Of a body that is remembered: an item of DynamoDB's has 400 KB. A longer answer is not, and its call is made anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """What a call was answered. `withheld`: members that were in the first answer alone, and are kept nowhere."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    withheld: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedCall:
    """One call under a key. `id`: of owner, route and key. `fingerprint`: of everything that was sent. `holder`: the
    one process that makes it."""

    id: str
    fingerprint: str
    holder: str
    began_at: datetime
    answer: KeptAnswer | None = None


def may_begin(asked: KeyedCall, standing: KeyedCall | None) -> bool:
    """Whether a call may be made where another stands under its key: it is a day old, or was the same and died."""
    if standing is None or standing.holder == asked.holder:
        return True
    age = asked.began_at - standing.began_at
    has_died = standing.answer is None and age > IN_FLIGHT_FOR
    return age >= KEPT_FOR or (has_died and standing.fingerprint == asked.fingerprint)


def answer_again(asked: KeyedCall, standing: KeyedCall) -> KeptAnswer:
    """What the call that stands under the key was answered. Raises Refused (`idempotency-key-reused`), InFlight."""
    if standing.fingerprint != asked.fingerprint:
        raise Refused(
            f"this Idempotency-Key was sent at {standing.began_at:%Y-%m-%d %H:%M:%S} UTC with another body or path; "
            "nothing was done. Send a new key for a new wish",
            slug="idempotency-key-reused",
        )
    if standing.answer is None:
        raise InFlight(
            f"a call with this Idempotency-Key began at {standing.began_at:%Y-%m-%d %H:%M:%S} UTC and is not answered "
            "yet; nothing more was done. Send the same again in some seconds: it is answered as the first one was, or "
            f"made anew once {IN_FLIGHT_FOR.total_seconds():.0f} s have shown that the first one died",
            retry_after_seconds=ASK_AGAIN_SECONDS,
        )
    return standing.answer
