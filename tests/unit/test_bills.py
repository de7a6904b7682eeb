"""The bill of a day: its buckets, when it is settled, when Cost Explorer is asked, and about what."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.bill_turn import BillTurn, first_to_ask, is_due
from chalicelib.domain.bills import (
    BillAnswer,
    BilledDay,
    BillFailure,
    BillLine,
    DayBill,
    Trouble,
    billing_region,
    bucket_of,
    kept,
)
from tests.builders import HOUR, usd

EC2, OTHER, VPC = "Amazon Elastic Compute Cloud - Compute", "EC2 - Other", "Amazon Virtual Private Cloud"
DAY = date(2026, 11, 20)
EIGHT = timedelta(hours=8)
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def line(service: str, usage_type: str, amount: str = "1") -> BillLine:
    return BillLine(service=service, usage_type=usage_type, usd=usd(amount))


def told(*lines: BillLine, day: date = DAY) -> DayBill:
    return DayBill(day=day, lines=lines)


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


@pytest.mark.parametrize(
    "service, usage_type, expected",
    [
        (EC2, "SpotUsage:g5.xlarge", "compute/us-east-1/g5.xlarge"),
        (EC2, "BoxUsage:p5.48xlarge", "compute/us-east-1/p5.48xlarge"),
        (EC2, "USW2-SpotUsage:g5.xlarge", "compute/us-west-2/g5.xlarge"),
        (EC2, "EU-BoxUsage:trn1.2xlarge", "compute/eu-west-1/trn1.2xlarge"),
        (EC2, "APS3-DedicatedUsage:p3.2xlarge", "compute/ap-south-1/p3.2xlarge"),
        (EC2, "USW2-LAX1-BoxUsage:g4dn.2xlarge", "compute/elsewhere/g4dn.2xlarge"),
        (EC2, "XYZ9-BoxUsage:g5.xlarge", "compute/elsewhere/g5.xlarge"),
        (OTHER, "EBS:VolumeUsage.gp3", "storage/us-east-1"),
        (OTHER, "EUC1-EBS:VolumeP-IOPS.piops.tier2", "storage/eu-central-1"),
        (OTHER, "EBS:VolumeP-Throughput.gp3", "storage/us-east-1"),
        (OTHER, "USW2-EBS:SnapshotUsage", "snapshots/us-west-2"),
        (OTHER, "DataTransfer-Out-Bytes", "egress/us-east-1"),
        (OTHER, "APN1-DataTransfer-Out-Bytes", "egress/ap-northeast-1"),
        (VPC, "USE1-PublicIPv4:InUseAddress", "addresses/us-east-1"),
        (VPC, "EU-PublicIPv4:IdleAddress", "addresses/eu-west-1"),
        (EC2, "UnusedBox:g5.xlarge", None),
        (EC2, "Reservation:p5.48xlarge", None),
        (OTHER, "USE1-USW2-AWS-Out-Bytes", None),
        (OTHER, "NatGateway-Hours", None),
        (VPC, "USE1-VpcEndpoint-Hours", None),
        ("Amazon Elastic MapReduce", "BoxUsage:g5.xlarge", None),
        ("Amazon SageMaker", "USW2-Host:ml.g5.xlarge", None),
        ("Tax", "", None),
    ],
)
def test_a_line_falls_in_the_bucket_of_what_the_meter_models(
    service: str, usage_type: str, expected: str | None
) -> None:
    """Region and type by the usage type's prefix and name; what no lease runs has no bucket."""
    assert bucket_of(line(service, usage_type)) == expected


@pytest.mark.parametrize(
    "place, region",
    [
        ("us-west-2", "us-west-2"),
        ("us-west-2b", "us-west-2"),
        ("us-gov-west-1a", "us-gov-west-1"),
        ("us-west-2-lax-1a", "elsewhere"),
        ("mars-north-1a", "elsewhere"),
    ],
)
def test_the_meter_s_place_is_the_bill_s(place: str, region: str) -> None:
    """Where the bill's name of a region is not known both meet elsewhere, so that nothing counts twice."""
    assert billing_region(place) == region


def test_a_day_is_kept_by_bucket_and_by_service() -> None:
    """Spot and on-demand of a type are one; lines of nothing are left out."""
    day = kept(
        told(
            line(EC2, "SpotUsage:g5.xlarge", "2"),
            line(EC2, "BoxUsage:g5.xlarge", "3"),
            line("AWS Glue", "USE1-Catalog", "0"),
            line("Tax", "", "3.30"),
            line(OTHER, "NatGateway-Hours", "1"),
        ),
        None,
        answered_at=NOW,
    )
    assert day.modelled == {"compute/us-east-1/g5.xlarge": 5}
    assert day.outside == {"EC2 - Other": 1, "Tax": usd("3.30")}
    assert day.total_usd == usd("9.30")


def answers(*told_at: tuple[datetime, str]) -> BilledDay:
    """A day as Cost Explorer told it, one answer after the other."""
    day: BilledDay | None = None
    for moment, amount in told_at:
        day = kept(told(line(EC2, "SpotUsage:g5.xlarge", amount)), day, answered_at=moment)
    assert day is not None
    return day


OLD_ENOUGH = datetime(2026, 11, 24, 0, 0, tzinfo=UTC)
"""72 hours after the end of DAY."""


@pytest.mark.parametrize(
    "told_at, is_settled",
    [
        ([(OLD_ENOUGH - EIGHT, "5"), (OLD_ENOUGH, "5")], True),
        ([(OLD_ENOUGH - EIGHT, "5"), (OLD_ENOUGH - HOUR, "5")], False),
        ([(OLD_ENOUGH - EIGHT, "4"), (OLD_ENOUGH, "5")], False),
        ([(OLD_ENOUGH + EIGHT, "5")], False),
        ([(OLD_ENOUGH, "5"), (OLD_ENOUGH + HOUR, "5")], False),
        ([(OLD_ENOUGH, "5"), (OLD_ENOUGH + HOUR, "5"), (OLD_ENOUGH + EIGHT, "5")], True),
        ([(OLD_ENOUGH, "5"), (OLD_ENOUGH + EIGHT, "5"), (OLD_ENOUGH + 2 * EIGHT, "6")], False),
    ],
)
def test_a_day_is_settled_72_hours_old_and_equal_in_two_answers(
    told_at: list[tuple[datetime, str]],
    *,
    is_settled: bool,
) -> None:
    """Two that lie apart as far as Cost Explorer's refreshes do: closer ones may be the same."""
    assert answers(*told_at).is_settled is is_settled


def turn(**facts: object) -> BillTurn:
    return BillTurn(**{"asked_at": ago(8), **facts})  # type: ignore[arg-type]


def test_it_is_asked_at_most_every_so_often() -> None:
    """At once the first time, then after the policy's interval."""
    assert is_due(None, EIGHT, NOW)
    assert is_due(turn(), EIGHT, NOW)
    assert not is_due(turn(asked_at=ago(7.99)), EIGHT, NOW)
    assert not is_due(turn(), timedelta(days=99_999), NOW)


@pytest.mark.parametrize("every", [timedelta(0), timedelta(minutes=1), timedelta(minutes=59), HOUR])
def test_it_is_never_asked_more_often_than_once_an_hour(every: timedelta) -> None:
    """Each minute would cost $432 a month and tell the same: AWS renews the figures three times a day at most."""
    assert turn(asked_at=NOW).next_at(every) == NOW + HOUR


@pytest.mark.parametrize(
    "trouble, failures, every, wait",
    [
        (Trouble.FAILED, 1, HOUR, 2 * HOUR),
        (Trouble.THROTTLED, 3, HOUR, 8 * HOUR),
        (Trouble.THROTTLED, 50, HOUR, 24 * HOUR),
        (Trouble.FAILED, 1, 48 * HOUR, 48 * HOUR),
        (Trouble.FAILED, 1, timedelta(0), 2 * HOUR),
        (Trouble.DENIED, 1, HOUR, 24 * HOUR),
        (Trouble.NOT_ENABLED, 1, HOUR, 24 * HOUR),
    ],
)
def test_a_failure_backs_off(trouble: Trouble, failures: int, every: timedelta, wait: timedelta) -> None:
    """Doubling up to a day; what a person has to mend is asked once a day."""
    asked = turn(asked_at=NOW, trouble=trouble, failures=failures)
    assert asked.next_at(every) == NOW + wait


def test_an_answer_forgives_all_failures() -> None:
    """And says how far behind the bill is: since the end of its newest day, or since the answer within that day."""
    failing = turn(asked_at=NOW).failed(BillFailure(trouble=Trouble.FAILED, detail="500"))
    assert (failing.failures, failing.trouble) == (1, Trouble.FAILED)
    good = failing.answered(
        BillAnswer(days=(told(line(EC2, "SpotUsage:g5.xlarge")), told(day=DAY + timedelta(days=1))), pages=1)
    )
    assert (good.failures, good.trouble, good.answered_at, good.newest_day) == (0, None, NOW, DAY)
    assert good.data_age(NOW) == timedelta(days=2, hours=9)
    today = BillAnswer(days=(told(line(EC2, "x"), day=NOW.date()),), pages=1)
    assert failing.answered(today).data_age(NOW + HOUR) == HOUR
    assert turn().data_age(NOW) is None


def settled(day: date) -> BilledDay:
    late = datetime(2026, 12, 24, tzinfo=UTC)
    return BilledDay(day=day, answered_at=late, same_since=late - EIGHT)


def test_it_is_asked_about_the_days_that_are_not_settled() -> None:
    """All of the month at first; then the youngest; an older one that never settled comes along."""
    month = [date(2026, 11, number) for number in range(1, 24)]
    assert first_to_ask([], NOW) == month[0]
    assert first_to_ask([settled(day) for day in month[:19]], NOW) == date(2026, 11, 20)
    assert first_to_ask([settled(day) for day in month], NOW) == NOW.date()
    october = BilledDay(day=date(2026, 10, 30), answered_at=ago(100), same_since=ago(100))
    assert first_to_ask([october, *(settled(day) for day in month[:19])], NOW) == october.day


def test_a_month_s_last_days_are_asked_about_in_the_next() -> None:
    """They settle only then."""
    assert first_to_ask([], datetime(2026, 12, 3, tzinfo=UTC)) == date(2026, 11, 1)
    assert first_to_ask([], datetime(2026, 12, 6, tzinfo=UTC)) == date(2026, 12, 1)


@given(
    amounts=st.lists(st.decimals(min_value=0, max_value=100, places=4), min_size=1, max_size=6),
    gaps=st.lists(st.integers(min_value=1, max_value=40), min_size=6, max_size=6),
)
def test_a_settled_day_has_two_equal_answers_behind_it(amounts: list[Decimal], gaps: list[int]) -> None:
    """Whatever Cost Explorer says, and whenever it is asked."""
    moment, seen = OLD_ENOUGH - timedelta(hours=72), list[tuple[datetime, Decimal]]()
    day: BilledDay | None = None
    for amount, gap in zip(amounts, gaps, strict=False):
        moment += timedelta(hours=gap)
        seen.append((moment, amount))
        day = kept(
            told(BillLine(service=EC2, usage_type="SpotUsage:g5.xlarge", usd=amount)), day, answered_at=moment
        )
        equal = [at for at, usd in seen if usd == amount]
        if day.is_settled:
            assert moment >= OLD_ENOUGH
            assert moment - equal[0] >= EIGHT
