"""What callers may send. Unknown fields are refused; a field's description is the hint in its 422."""

from datetime import timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    model_validator,
)

from chalicelib.domain.budget import DEFAULT_THRESHOLDS, Consequence, Period, ScopeKind
from chalicelib.domain.partitions import supported
from chalicelib.domain.policy import MAX_LENGTH, to_decimals

REGION = r"^[a-z]{2,4}(-[a-z]+)+-[0-9]+$"
LABEL = r"^[A-Za-z0-9][A-Za-z0-9._:/=+@-]{0,127}$"
BUDGET_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
MAX_HOURS = MAX_LENGTH // timedelta(hours=1)
LEAST_HOURS = Decimal("1e-10")
"""Less than the microsecond that any shorter time comes to as well: 1e-999999 written out has a million zeros, and it
is kept with the lease and its receipt."""


def canonical(amount: Decimal) -> str:
    """5, "5" and 5.00 are one amount, and one idempotent body."""
    return f"{amount.normalize():f}"


Usd = Annotated[Decimal, Field(ge=0, le=10**9), AfterValidator(to_decimals), PlainSerializer(canonical)]
SomeUsd = Annotated[Decimal, Field(gt=0, le=10**9), AfterValidator(to_decimals), PlainSerializer(canonical)]
Hours = Annotated[
    Decimal,
    Field(gt=0, le=MAX_HOURS),
    AfterValidator(lambda hours: max(hours, LEAST_HOURS)),
    PlainSerializer(canonical),
]
Label = Annotated[str, Field(pattern=LABEL)]
Region = Annotated[str, Field(pattern=REGION), AfterValidator(supported)]
"""A region of another partition than `aws` is well-formed, and refused: 409."""
InstanceType = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}\.[a-z0-9-]{1,31}$")]
Printable = r"^[\x20-\x7e]+$"
SshFrom = Annotated[str, Field(pattern=r"^(me|[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?)$")]
SubnetId = Annotated[str, Field(pattern=r"^subnet-[0-9a-z]{1,32}$")]
Ports = Annotated[
    tuple[Annotated[int, Field(strict=True, ge=1, le=65_535)], ...],
    Field(max_length=20),
    AfterValidator(lambda ports: tuple(sorted(set(ports)))),
]
"""Whatever their order, and however often each: they are a set, and one idempotent body."""


def length_of(hours: Decimal) -> timedelta:
    """Hours as a length, exact to the microsecond, never shorter than asked."""
    return timedelta(microseconds=int((hours * 3_600_000_000).to_integral_value(ROUND_CEILING)))


class Sent(BaseModel):
    """What a caller sends: frozen, strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NoBody(Sent):
    """For calls without a body; an empty object passes."""


class NoQuery(Sent):
    """For calls without a query: an unknown `?dry_run=true` must not end something."""


class PageQuery(Sent):
    """Which part of a list."""

    limit: int = Field(default=50, ge=1, le=200, description="how many items, 1 to 200")
    cursor: str | None = Field(
        default=None, min_length=1, max_length=2000, description="the `next` of the page before"
    )


class WaitQuery(Sent):
    """How long to wait for a lease to settle."""

    wait: int = Field(default=0, ge=0, le=25, description="whole seconds, 0 to 25")


class SpendQuery(Sent):
    """Which month."""

    period: str | None = Field(
        default=None,
        pattern=r"^20\d\d-(0[1-9]|1[0-2])$",
        description="a month such as 2026-11, in UTC; the present one when absent",
    )


class ImageQuery(PageQuery):
    """GET /images."""

    region: Region | None = Field(default=None, description="such as us-east-1; the home region when absent")
    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9()\[\] ./'@_-]{3,128}$",
        description="a part of the names of public images to look for, 3 to 128 characters; none are when absent",
    )


class ForceQuery(Sent):
    """Whether leases may be ended to fit a lower limit."""

    force: bool = Field(default=False, description="true or false")


class QuoteQuery(Sent):
    """GET /quotes."""

    instance_type: InstanceType = Field(description="one type, such as g4dn.xlarge")
    hours: Hours | None = Field(
        default=None,
        description="how long it would run, more than 0; the policy's lease.default_for when absent",
    )
    region: Region | None = Field(default=None, description="such as us-east-1; the home region when absent")
    target_capacity: int = Field(default=1, ge=1, le=100, description="how many boxes, 1 to 100")
    volume_gib: int = Field(
        default=100, ge=1, le=65_536, description="GiB of all disks of a box, 100 when absent"
    )
    egress_gb: int = Field(
        default=50, ge=0, le=1_000_000, description="GB of data transfer out that the hold covers"
    )
    max_price_usd_per_hour: SomeUsd | None = Field(
        default=None, description="the most to pay for an hour, such as 0.40; the on-demand price when absent"
    )


def schema(**more: Any) -> ConfigDict:
    """With what the model checks of several fields together, in the words of JSON Schema."""
    return ConfigDict(frozen=True, extra="forbid", json_schema_extra=more)


class ExtendBody(Sent):
    """PATCH /leases/{id}."""

    model_config = schema(
        anyOf=[
            {"required": [name], "properties": {name: {"type": ["number", "string"]}}}
            for name in ("hours", "budget_usd")
        ]
    )

    hours: Hours | None = Field(
        default=None, description="the new total length counted from the launch, in hours, more than 0"
    )
    budget_usd: SomeUsd | None = Field(
        default=None, description="the new most it may cost, in dollars, more than 0"
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.hours is None and self.budget_usd is None:
            raise ValueError("give hours, budget_usd, or both")
        return self


class ScopeBody(Sent):
    """Whose leases a budget counts."""

    model_config = schema(
        anyOf=[
            {"properties": {"kind": {"const": "account"}, "value": {"type": "null"}}},
            {
                "required": ["kind", "value"],
                "properties": {"kind": {"enum": ["owner", "project"]}, "value": {"type": "string"}},
            },
        ]
    )

    kind: ScopeKind = Field(default=ScopeKind.ACCOUNT, description="account, owner or project")
    value: Label | None = Field(
        default=None, description="the owner or project: letters, digits and . _ : / = + @ -, 128 at most"
    )

    @model_validator(mode="after")
    def _value_fits_kind(self) -> Self:
        if self.kind is ScopeKind.ACCOUNT and self.value is not None:
            raise ValueError("value is for the kinds owner and project; the account has none")
        if self.kind is not ScopeKind.ACCOUNT and self.value is None:
            raise ValueError(f"value has to name the {self.kind}")
        return self


class ThresholdBody(Sent):
    """What happens when that much of the limit is spent."""

    at_percent: Decimal = Field(ge=0, le=1000, description="percent of the limit that is spent, 0 to 1000")
    do: Annotated[tuple[Consequence, ...], AfterValidator(lambda do: tuple(dict.fromkeys(do)))] = Field(
        min_length=1, description='a list of "notify", "stop_launches" and "end"'
    )


class BudgetBody(Sent):
    """PUT /budgets/{name}."""

    model_config = schema(
        anyOf=[
            {"properties": {"services": {"const": "accelerators"}}},
            {"properties": {"scope": {"properties": {"kind": {"const": "account"}}}}},
        ]
    )

    limit_usd: Usd = Field(description='dollars for each period, such as "100" or 100.50')
    period: Period = Field(default=Period.MONTHLY, description="monthly, daily or total, in UTC")
    scope: ScopeBody = Field(
        default=ScopeBody(),
        description='{"kind": "account"}, or {"kind": "owner" or "project", "value": name}',
    )
    services: Literal["accelerators", "all"] = Field(
        default="accelerators", description="accelerators, or all: the whole account's bill"
    )
    thresholds: tuple[ThresholdBody, ...] = Field(
        default=tuple(ThresholdBody(at_percent=each.at_percent, do=each.do) for each in DEFAULT_THRESHOLDS),
        max_length=20,
        description='[{"at_percent": 80, "do": ["notify", "stop_launches", "end"]}], in percent of what is spent',
    )

    @model_validator(mode="after")
    def _all_is_the_account_s(self) -> Self:
        if self.services == "all" and self.scope.kind is not ScopeKind.ACCOUNT:
            raise ValueError("services: all is the whole account's bill, so its scope has to be the account")
        return self


class SweepBody(Sent):
    """POST /sweeps."""

    model_config = schema(
        anyOf=[{"properties": {"dry_run": {"const": False}}}, {"properties": {"arm": {"const": False}}}]
    )

    dry_run: StrictBool = Field(
        default=False, description="true says what a sweep would do, and does nothing"
    )
    arm: StrictBool = Field(
        default=False, description="true puts boxes that ran before Curfew came under leases as well"
    )

    @model_validator(mode="after")
    def _one_at_a_time(self) -> Self:
        if self.dry_run and self.arm:
            raise ValueError("arming changes something, a dry run changes nothing: ask for one of them")
        return self
