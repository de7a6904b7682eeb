"""The free tier: what is worth telling first, once a day, and that nothing hangs on it."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.free_tier import FreeTier, Offer, Plan, by_worry, lines, report
from chalicelib.domain.notices import Kind
from chalicelib.ports import Services
from chalicelib.usecases.digest import tell_digest
from chalicelib.usecases.health import health
from tests.builders import DAY, MINUTE, Stage, at, usd

NOW = at("09:00")
AMOUNTS = some.decimals(min_value=0, max_value=10**9, places=3)


def offer(used: str = "620", forecast: str = "700", limit: str = "750", **facts: Any) -> Offer:
    """Hours of small boxes."""
    return Offer(
        **{
            "service": "Amazon Elastic Compute Cloud",
            "usage_type": "Global-BoxUsage:freetier.micro",
            "used": Decimal(used),
            "forecast": Decimal(forecast),
            "limit": Decimal(limit),
            "unit": "Hrs",
            **facts,
        }
    )


def plan(ends_after: timedelta = 90 * DAY, **facts: Any) -> Plan:
    """A free plan with some credits."""
    return Plan(
        **{
            "kind": "FREE",
            "status": "ACTIVE",
            "credits_usd": usd("87.50"),
            "ends_at": NOW + ends_after,
            **facts,
        }
    )


def text(*offers: Offer, of: Plan | None = None, now: datetime = NOW) -> str:
    """The digest's part."""
    return "\n".join(lines(FreeTier(at=NOW, plan=of, offers=offers), now))


def test_an_offer_is_told_with_use_limit_and_forecast() -> None:
    """In its own unit, and for people: no fifteen digits."""
    assert "620 of 750 Hrs, 700 forecast: Amazon Elastic Compute Cloud" in text(offer())
    assert "<0.01 of 1,000,000 Request" in text(offer("0.0001", "0.4", "1000000", unit="Request"))
    assert "2.5 of 5 GB, 4.05 forecast: Amazon Elastic Compute Cloud Global-Disk in us-east-1" in text(
        offer("2.500", "4.049", "5", unit="GB", usage_type="Global-Disk", region="us-east-1")
    )


def test_what_is_used_up_comes_first_then_what_will_be() -> None:
    """Both with a mark; neither is ever cut off."""
    fine = [offer(str(used), usage_type=f"fine-{used}") for used in range(1, 9)]
    told = text(*fine, offer("40", "751", usage_type="later"), offer("750", "900", usage_type="gone")).split(
        "\n"
    )[2:]
    assert told[0].startswith("  ! used up: 750 of 750 Hrs, 900 forecast")
    assert told[1].startswith("  ! forecast over: 40 of 750 Hrs")
    assert "fine-8" in told[2]
    assert told[-1] == "  and 5 more within their limits"
    over = [offer("800", usage_type=f"over-{number}") for number in range(9)]
    assert text(*over).count("used up") == 9


def test_the_plan_is_told_and_its_end_is_a_warning_within_thirty_days() -> None:
    """The paid plan ends nothing, and an end that is far away or unknown is no news."""
    assert "account plan FREE (active), $87.50 of credits left, ends on 2027-02-21" in text(of=plan())
    assert "!" not in text(of=plan())
    soon = text(of=plan(10 * DAY))
    assert "! the free plan ends on 2026-12-03, in 10 days: AWS closes the account unless" in soon
    assert "in 1 day:" in text(of=plan(DAY + MINUTE))
    for over in (plan(-MINUTE), plan(status="EXPIRED"), plan(status="EXPIRED", ends_at=None)):
        assert "! the free plan is over: AWS closes" in text(of=over)
    few = text(of=plan(credits_usd=usd("9.99")))
    assert "! the free plan ends with its credits, of which $9.99 are left: AWS closes" in few
    assert "!" not in text(of=plan(10 * DAY, kind="PAID", credits_usd=usd(0)))
    assert "!" not in text(of=plan(ends_at=None, credits_usd=None))


def test_nothing_said_is_nothing_told() -> None:
    """Neither of offers that nothing uses."""
    assert lines(FreeTier(at=NOW, lacking=("denied",)), NOW) == []
    assert lines(FreeTier(at=NOW, offers=(offer("0", "0"), offer("3", limit="0"))), NOW) == []


@given(some.lists(some.tuples(AMOUNTS, AMOUNTS, AMOUNTS), max_size=80))
def test_whatever_aws_says_is_ordered_by_worry(amounts: list[tuple[Decimal, Decimal, Decimal]]) -> None:
    """Every warning stands before all that is within its limit, as often in the warnings as in the list."""
    told = FreeTier(
        at=NOW, offers=tuple(replace(offer(), used=u, forecast=f, limit=limit) for u, f, limit in amounts)
    )
    states = [one.state for one in by_worry(told.offers)]
    assert states == sorted(states, key=["used up", "forecast over", "within"].index)
    assert len(report(told, NOW).warnings) == len(states) - states.count("within")


@dataclass
class MemoryFreeTier:
    """Answers what it holds, and counts how often it was asked."""

    told: FreeTier = field(default_factory=lambda: FreeTier(at=NOW, plan=plan(), offers=(offer(),)))
    asked: list[datetime] = field(default_factory=list)

    def ask(self, now: datetime) -> FreeTier:
        """The same each time."""
        self.asked.append(now)
        return replace(self.told, at=now)


def staged(aws: MemoryFreeTier) -> tuple[Stage, Services]:
    """A Curfew that may ask."""
    stage = Stage()
    return stage, replace(stage.services, free_tier=aws)


def test_aws_is_asked_once_a_day_and_the_digest_tells_what_it_said() -> None:
    """However often the function looks whether a digest is due."""
    aws = MemoryFreeTier()
    stage, services = staged(aws)
    for _ in range(97):
        tell_digest(services)
        stage.clock.advance(15 * MINUTE)
    assert [one - NOW for one in aws.asked] == [timedelta(0), DAY]
    first, second = stage.told(Kind.DIGEST)
    for notice in (first, second):
        assert any("620 of 750 Hrs" in line for line in notice.lines)


def test_health_shows_the_last_answer_and_asks_nothing() -> None:
    """None before it, then warnings, plan, offers and what is lacking."""
    aws = MemoryFreeTier(FreeTier(at=NOW, plan=plan(DAY), offers=(offer("900"),), lacking=("some: denied",)))
    stage, services = staged(aws)
    assert health(services).free_tier is None
    assert aws.asked == []
    stage.notifier.is_configured = False
    tell_digest(services)
    told = health(services).free_tier
    assert told is not None
    assert len(told.warnings) == 2
    assert told.lacking == ("some: denied",)
    assert health(services).status == health(Stage().services).status


def test_no_answer_and_no_place_to_keep_it_hold_up_no_digest() -> None:
    """It is told without that part."""
    stage, services = staged(MemoryFreeTier(FreeTier(at=NOW, lacking=("denied",))))
    stage.store.inject("keep_free_tier", Unavailable("throttled"))
    tell_digest(services)
    (notice,) = stage.told(Kind.DIGEST)
    assert not any("Free tier" in line for line in notice.lines)
