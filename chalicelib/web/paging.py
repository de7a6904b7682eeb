"""Lists: `{"items": [...], "next": cursor or null}`, and `unseen`, the regions that it missed, of one that asks EC2.

A cursor says after which item the next page begins, by something of the item's that never changes. So nothing comes
twice and nothing is left out, whatever comes, goes or becomes dearer between two pages. It is no secret and gives no
right: one that was tampered with is refused, or begins elsewhere in what the same caller may see anyhow.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from chalicelib.domain.catalogue import OfferedImage
from chalicelib.domain.keys import KeyPair
from chalicelib.domain.tokens import Token
from chalicelib.gateways.dynamodb_codec import cursor, position, stamped
from chalicelib.ports import Page
from chalicelib.usecases.budgets import BudgetReport
from chalicelib.usecases.own_budgets import LimitReport, name_of
from chalicelib.usecases.report import InstanceReport, Seen, SpotRequestReport
from chalicelib.usecases.security_groups import GroupReport
from chalicelib.web.encode import JsonValue
from chalicelib.web.models import PageQuery

T = TypeVar("T")
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A list that is read whole each time: its name, and what of an item never changes and no other item has."""

    name: str
    key: Callable[[T], str]
    newest_first: bool = False


SPOT_REQUESTS: Listing[SpotRequestReport] = Listing(
    "spot-requests",
    lambda one: stamped(one.request.created_at or NEVER, one.request.id),
    newest_first=True,
)
INSTANCES: Listing[InstanceReport] = Listing("instances", lambda one: one.instance.id)
BUDGETS: Listing[BudgetReport | LimitReport] = Listing("budgets", name_of)
IMAGES: Listing[OfferedImage] = Listing(
    "images", lambda one: stamped(one.of.created_at or LONG_AGO, one.of.id), newest_first=True
)
TOKENS: Listing[Token] = Listing("tokens", lambda one: stamped(one.created_at, one.id), newest_first=True)
KEY_PAIRS: Listing[KeyPair] = Listing("key-pairs", lambda one: f"{one.name}#{one.id}")
SECURITY_GROUPS: Listing[GroupReport] = Listing(
    "security-groups", lambda one: f"{one.group.name}#{one.group.id}"
)


def listed(page: Page[T], view: Callable[[T], JsonValue]) -> JsonValue:
    """A page as it is answered."""
    return {"items": [view(item) for item in page.items], "next": page.next}


def seen(
    found: Seen[T],
    view: Callable[[T], JsonValue],
    query: PageQuery | None = None,
    listing: Listing[T] | None = None,
) -> JsonValue:
    """What one look found, with the regions that it missed; with a `query` a page of its `listing`."""
    page = cut(found.items, query, listing) if query and listing else Page(found.items, found.next)
    return {**listed(page, view), "unseen": dict(found.unseen)}


def cut(everything: Sequence[T], query: PageQuery, listing: Listing[T]) -> Page[T]:
    """One page, its items in their own order. Raises Refused (`bad-cursor`)."""
    keys = sorted((listing.key(item) for item in everything), reverse=listing.newest_first)
    if query.cursor is not None:
        place = position(listing.name, query.cursor)
        keys = [key for key in keys if (key < place if listing.newest_first else key > place)]
    shown = set(keys[: query.limit])
    page = tuple(item for item in everything if listing.key(item) in shown)
    is_more = len(keys) > query.limit
    return Page(page, cursor(listing.name, keys[query.limit - 1]) if is_more else None)
