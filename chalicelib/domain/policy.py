"""The policy: one JSON document that says when Curfew warns and ends. Unknown keys are refused, so a misspelt
threshold can't silently never fire; only one that is stored already is read as far as it is understood.

Durations are ISO 8601 (`PT1H`). `idle.after` is what a wrong kill costs in restart time.
"""

from collections.abc import Iterable
from copy import deepcopy
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal
from functools import reduce
from operator import getitem
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    StrictBool,
    TypeAdapter,
    ValidationError,
)

from chalicelib.domain.money import DECIMALS

MAX_LENGTH = timedelta(days=99_999)
SHORTEST_IDLE = timedelta(minutes=15)
"""What `idle.after` counts as at least: samples come five minutes apart, and three of them tell a slow source from a
silent one."""


def _iso(value: object) -> object:
    """pydantic would take 60 for a minute."""
    if not isinstance(value, timedelta) and not (isinstance(value, str) and value.startswith("P")):
        raise ValueError("has to be an ISO 8601 duration such as PT30M")
    return value


def to_decimals(amount: Decimal) -> Decimal:
    """Dollars with as many decimals as are kept; what is more than nothing stays so."""
    rounded = amount.quantize(Decimal(1).scaleb(-DECIMALS), ROUND_CEILING)
    return amount if amount == rounded else rounded


Length = Annotated[timedelta, BeforeValidator(_iso), Field(ge=timedelta(0), le=MAX_LENGTH)]
Count = Annotated[int, Field(strict=True, ge=0, le=10**9)]
Usd = Annotated[Decimal, Field(ge=0, le=10**9), AfterValidator(to_decimals)]


_LENGTH = TypeAdapter(timedelta)


def _iso_of(length: timedelta) -> str:
    return str(_LENGTH.dump_python(length, mode="json"))


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no IANA time zone such as 'UTC' or 'Asia/Shanghai'") from error
    return name


def _name_zones(schema: dict[str, Any]) -> None:
    """Every name that is one, for who reads the schema."""
    schema["enum"] = sorted(available_timezones())


class Section(BaseModel):
    """A part of the policy: frozen, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class IdlePolicy(Section):
    """When a box counts as idle. `cpu_evidence` `use`: CPU, network and disk are signs of work, and all three quiet for
    six times `after` are idleness where nothing else is known; [why so long](idle.md)."""

    after: Length = timedelta(hours=1)
    warn_before: Length = timedelta(minutes=10)
    gpu_below_percent: Annotated[Decimal, Field(ge=0, le=100)] = Decimal(1)
    coverage: Annotated[Decimal, Field(ge=0, le=1)] = Decimal("0.8")
    after_launch: Length = timedelta(minutes=30)
    cpu_evidence: Literal["ignore", "use"] = "ignore"

    def tightened(self, own: timedelta | None) -> Self:
        """As a lease that waits no longer than `own` has it; it may only tighten the policy."""
        return self if own is None or own >= self.after else self.model_copy(update={"after": own})


class LeasePolicy(Section):
    """How long and how many."""

    default_for: Length = timedelta(hours=8)
    max_for: Length = timedelta(days=3)
    max_open_per_owner: Count = 10


class UnleasedPolicy(Section):
    """What happens to boxes that nobody launched through Curfew."""

    effect: Literal["adopt", "warn", "ignore"] = "adopt"
    run_for: Length = Field(default=timedelta(hours=8), alias="for")
    grace: Length = timedelta(minutes=30)
    end: Literal["terminate", "image", "stop"] = "terminate"

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class StoppedPolicy(Section):
    """What happens to boxes at rest, which go on billing their storage."""

    warn_after: Length = timedelta(days=1)
    end_after: Length | None = None


class LimitsPolicy(Section):
    """Limits on mistakes."""

    idle_ends_per_sweep: Count = 10
    hourly_usd: Usd | None = None


class TeardownPolicy(Section):
    """How boxes are ended."""

    margin: Length = timedelta(minutes=15)
    lift_termination_protection: StrictBool = False


class OwnBill(Section):
    """What Curfew itself may cost a month."""

    base: Usd = Decimal("4.00")
    per_box: Usd = Decimal("0.05")


class BillsPolicy(Section):
    """How often the paid bill is asked for, at $0.01 a page: never more often than once an hour, whatever is put."""

    cost_explorer_every: Length = timedelta(hours=8)
    own_usd_per_month: OwnBill = OwnBill()


class NotifyPolicy(Section):
    """When people are told."""

    time_zone: Annotated[str, AfterValidator(_known_zone), Field(json_schema_extra=_name_zones)] = "UTC"
    digest_at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "09:00"


class ScopePolicy(Section):
    """What is looked at. Types may be patterns (`g4dn.*`)."""

    regions: Literal["all"] | tuple[Annotated[str, Field(pattern=r"^[a-z]{2,4}(-[a-z]+)+-\d+$")], ...] = "all"
    accounts: tuple[Annotated[str, Field(pattern=r"^\d{12}$")], ...] = ()
    include_types: tuple[str, ...] = ()
    exclude_types: tuple[str, ...] = ()
    exclude_tags: dict[str, str] = Field(default_factory=dict)


class Policy(Section):
    """The complete document; every default stands here and nowhere else."""

    idle: IdlePolicy = IdlePolicy()
    lease: LeasePolicy = LeasePolicy()
    unleased: UnleasedPolicy = UnleasedPolicy()
    stopped: StoppedPolicy = StoppedPolicy()
    limits: LimitsPolicy = LimitsPolicy()
    teardown: TeardownPolicy = TeardownPolicy()
    bills: BillsPolicy = BillsPolicy()
    notify: NotifyPolicy = NotifyPolicy()
    scope: ScopePolicy = ScopePolicy()

    _not_understood: tuple[str, ...] = PrivateAttr(default=())

    @property
    def not_understood(self) -> tuple[str, ...]:
        """What of the stored document this version does not know, and passes over."""
        return self._not_understood

    @property
    def remarks(self) -> tuple[str, ...]:
        """What of it does other than a reader may expect, in sentences."""
        idle, said = self.idle, []
        if idle.after < SHORTEST_IDLE:
            said.append(
                f"idle.after ({_iso_of(idle.after)}) is shorter than {_iso_of(SHORTEST_IDLE)}: use is judged over "
                f"{_iso_of(SHORTEST_IDLE)} at least, so a box ends for idleness later than it says"
            )
        if idle.warn_before > idle.after:
            said.append(
                f"idle.warn_before ({_iso_of(idle.warn_before)}) is longer than idle.after ({_iso_of(idle.after)}): it "
                "counts inside it, so a box is warned of idleness as soon as it is idle"
            )
        if self.lease.default_for > self.lease.max_for:
            said.append(
                f"lease.default_for ({_iso_of(self.lease.default_for)}) is longer than lease.max_for "
                f"({_iso_of(self.lease.max_for)}): a launch that leaves out hours is refused"
            )
        return tuple(said)

    @classmethod
    def from_stored(cls, document: object) -> Self:
        """The policy of a document that another version may have put: what is not understood takes its default, so
        that a rollback leaves nothing unguarded. Who may be touched is not guessed: where it was in `scope` or
        `unleased`, strays are reported instead of adopted."""
        kept: dict[str, Any] = deepcopy(document) if isinstance(document, dict) else {}
        lost = [] if isinstance(document, dict) else ["policy"]
        while places := _bad_places(cls, kept):
            for *outer, key in places:
                reduce(getitem, outer, kept).pop(key)
            lost += [".".join(place) for place in places]
        policy = cls.model_validate(kept)
        if policy.unleased.effect == "adopt" and any(name.startswith(UNGUESSED) for name in lost):
            warn = policy.unleased.model_copy(update={"effect": "warn"})
            policy = policy.model_copy(update={"unleased": warn})
        policy._not_understood = tuple(lost)  # noqa: SLF001 its own
        return policy


UNGUESSED = ("policy", "scope", "unleased")


def _bad_places(model: type[BaseModel], document: dict[str, Any]) -> list[tuple[str, ...]]:
    """Where a document is not valid, each place once, as its deepest key: items of lists and alternatives have none."""
    try:
        model.model_validate(document)
    except ValidationError as error:
        paths = [found["loc"] for found in error.errors(include_url=False)]
        return list(dict.fromkeys(_deepest_key(document, path) for path in paths))
    return []


def _deepest_key(document: Any, path: Iterable[int | str]) -> tuple[str, ...]:
    names: list[str] = []
    for key in path:
        if not isinstance(document, dict) or key not in document:
            break
        names.append(str(key))
        document = document[key]
    return tuple(names)


NOT_ENFORCED = ("scope.accounts",)
"""Keys that are accepted and kept, but that nothing acts on yet: GET /health lists them."""
