"""Idempotency-Key at the door: which call it is, and what of its answer is remembered."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from uuid import uuid4

from pydantic import BaseModel

from chalicelib.domain.once import KeptAnswer, KeyedCall
from chalicelib.web import receive


def keyed(
    headers: Mapping[str, str],
    *,
    owner: str,
    only: str | None,
    route: str,
    sent: Sequence[BaseModel],
    parts: Mapping[str, str],
    now: datetime,
) -> KeyedCall | None:
    """The call under its key, None where it has none. Raises Invalid. `sent`: body and query as they were understood,
    so that key order, white space, 5 or "5.00", a default that is said or not are the same wish, in a later version
    with more fields too; `parts`: those of the path. `only`: whoever sees their own alone is not answered what the same
    owner was told who saw all."""
    key = receive.idempotency_key(headers)
    if key is None:
        return None
    said = [one.model_dump_json(exclude_defaults=True) for one in sent]
    wish = json.dumps([dict(parts), *said], sort_keys=True)
    return KeyedCall(
        id=_digest(f"{owner}\n{only or ''}\n{route}\n{key}"),  # none of them can have a line break
        fingerprint=_digest(wish),
        holder=uuid4().hex,
        began_at=now,
    )


def kept(status: int, headers: Mapping[str, str], body: object, secrets: Sequence[str]) -> KeptAnswer | None:
    """An answer as it is remembered: only of what was done, and without its secrets."""
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    withheld = tuple(name for name in secrets if isinstance(body, dict) and name in body)
    if isinstance(body, dict) and withheld:
        body = {name: value for name, value in body.items() if name not in withheld}
    text = json.dumps(body, separators=(",", ":"))
    return KeptAnswer(status=int(status), headers=dict(headers), body=text, withheld=withheld)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
