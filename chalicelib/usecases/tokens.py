"""Tokens: make one for somebody, with what they may spend; take it back; and know one that is sent."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.adoption import NOBODY
from chalicelib.domain.budget import Budget, Period, ScopeKind
from chalicelib.domain.errors import Refused
from chalicelib.domain.tokens import Role, Standing, Token, hash_of, id_of, judge
from chalicelib.ports import Services
from chalicelib.usecases import budgets

COUNTED_DAYS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What an owner may spend in each period, on the budget of that `name`."""

    name: str
    limit_usd: Decimal
    period: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A token to be made. `expires_at` or `lives_for`, or neither: until it is revoked."""

    owner: str
    role: Role
    expires_at: datetime | None = None
    lives_for: timedelta | None = None
    allowance: Allowance | None = None


def recognise(services: Services, text: str) -> tuple[Standing, Token | None]:
    """What a token that was sent is, read anew at each call; what has not the form of one is not looked up. Raises
    Unavailable."""
    token_id = id_of(text)
    known = services.tokens.token(token_id) if token_id else None
    standing = judge(text, known, services.clock.now())
    return standing, None if standing is Standing.UNKNOWN else known


def mint(services: Services, wish: Wish, text: str, *, by: str) -> Token:
    """Keep the hash of `text` as a token; its owner's budget is made or changed first, so that nobody has a token whose
    limit is not there. Raises Refused, Unavailable."""
    now = services.clock.now()
    expires_at = wish.expires_at if wish.lives_for is None else now + wish.lives_for
    if wish.owner == NOBODY:
        raise Refused(
            f"{NOBODY} is the owner of boxes that nobody has claimed, and no person; nothing was made. Choose another"
        )
    if expires_at is not None and expires_at <= now:
        raise Refused(
            f"expires_at {expires_at:%Y-%m-%d %H:%M} UTC is over; nothing was made. Give a later one"
        )
    if wish.allowance:
        _allow(services, wish.owner, wish.allowance)
    token = Token(
        id=id_of(text) or "",
        owner=wish.owner,
        role=wish.role,
        hash=hash_of(text),
        created_at=now,
        created_by=by,
        expires_at=expires_at,
    )
    services.tokens.add_token(token)
    return token


def revoke(services: Services, token_id: str) -> Token:
    """From now on it is let in nowhere. Raises NotFound, Unavailable."""
    return services.tokens.revoke_token(token_id, services.clock.now())


def wrong_tokens(services: Services) -> dict[str, int]:
    """How many wrong tokens were sent on each of the last seven days, today first; processes tell theirs once a
    minute."""
    today = services.clock.now().date()
    days = [today - timedelta(days=ago) for ago in range(COUNTED_DAYS)]
    counted = services.tokens.wrong_tokens(days)
    return {day.isoformat(): counted[day] for day in days if day in counted}


def _allow(services: Services, owner: str, allowance: Allowance) -> None:
    """Make the owner's budget, or change its limit: what else it says stays."""
    wanted = Budget(
        name=allowance.name,
        limit_usd=allowance.limit_usd,
        period=allowance.period,
        scope_kind=ScopeKind.OWNER,
        scope_value=owner,
    )
    book = services.store.budgets(services.clock.now())
    known = next((state.budget for state in book.states if state.budget.name == wanted.name), None)
    if known is not None:
        wanted = replace(wanted, thresholds=known.thresholds)
    budgets.put(services, wanted, force=False)
