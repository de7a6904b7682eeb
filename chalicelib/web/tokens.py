"""/tokens: what an admin sends to make one, and how tokens are answered."""

import re
import secrets
from datetime import datetime
from typing import Literal, NotRequired, Self

from pydantic import ConfigDict, Field, model_validator
from typing_extensions import TypedDict

from chalicelib.domain.budget import Period
from chalicelib.domain.policy import Length
from chalicelib.domain.tokens import ID_BYTES, SECRET_BYTES, Role, Standing, Token, compose
from chalicelib.usecases.tokens import Allowance, Wish
from chalicelib.web.encode import JsonValue, plain
from chalicelib.web.models import Label, Sent, Usd
from chalicelib.web.moments import TIME, moment

NOT_IN_A_BUDGETS_NAME = re.compile(r"[^A-Za-z0-9._-]")
LONGEST_BUDGET_NAME = 64


class AllowanceBody(Sent):
    """What the owner may spend."""

    limit_usd: Usd = Field(description='dollars for each period, such as "50"')
    period: Period = Field(default=Period.MONTHLY, description="monthly, daily or total, in UTC")


class TokenBody(Sent):
    """POST /tokens."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "anyOf": [{"properties": {name: {"type": "null"}}} for name in ("expires_in", "expires_at")]
        },
    )

    owner: Label = Field(
        description="whose launches and changes they are: letters, digits and . _ : / = + @ -, 128 at most"
    )
    role: Literal["viewer", "launcher", "admin"] = Field(
        description="viewer reads all and changes nothing, launcher sees and changes what is its owner's, admin may all"
    )
    expires_in: Length | None = Field(
        default=None, description="how long it works, as P90D; until it is revoked when absent"
    )
    expires_at: str | None = Field(
        default=None, pattern=TIME, description="or until when, such as 2027-03-31 or 2027-03-31T18:00:00Z"
    )
    budget: AllowanceBody | None = Field(
        default=None,
        description='{"limit_usd": "50"}: makes the budget named as the owner, or changes its limit; none when absent',
    )

    @model_validator(mode="after")
    def _ends_once(self) -> Self:
        if self.expires_in is not None and self.expires_at is not None:
            raise ValueError("give expires_in or expires_at, not both")
        return self


class TokenAnswer(TypedDict):
    """A token's record. `token` is in the answer that made it alone: keep it, nobody can read it again. `budget`: the
    one that was made or changed with it."""

    id: str
    owner: str
    role: Role
    status: Standing
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    token: NotRequired[str]
    budget: NotRequired[str | None]


def new() -> str:
    """A token that nobody has."""
    return compose(secrets.token_bytes(ID_BYTES), secrets.token_bytes(SECRET_BYTES))


def wish_of(body: TokenBody, now: datetime) -> Wish:
    """What is asked for."""
    allowance = None
    if body.budget:
        name = _budget_name(body.owner)
        allowance = Allowance(name=name, limit_usd=body.budget.limit_usd, period=body.budget.period)
    return Wish(
        owner=body.owner,
        role=Role(body.role),
        expires_at=moment(body.expires_at, now) if body.expires_at else None,
        lives_for=body.expires_in,
        allowance=allowance,
    )


def view(token: Token, now: datetime) -> JsonValue:
    """As it is answered: neither it nor its hash."""
    return plain(_answer(token, now))


def made(token: Token, text: str, wish: Wish, now: datetime) -> JsonValue:
    """One that was just made."""
    return plain({**_answer(token, now), "token": text, "budget": wish.allowance and wish.allowance.name})


def _answer(token: Token, now: datetime) -> TokenAnswer:
    return TokenAnswer(
        id=token.id,
        owner=token.owner,
        role=token.role,
        status=token.standing(now),
        created_at=token.created_at,
        created_by=token.created_by,
        expires_at=token.expires_at,
        revoked_at=token.revoked_at,
    )


def _budget_name(owner: str) -> str:
    return NOT_IN_A_BUDGETS_NAME.sub("-", owner)[:LONGEST_BUDGET_NAME]
