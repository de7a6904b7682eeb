"""Cost Explorer as the gateway reads it: on localaws, from a real answer, and from answers made up in its shape."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.bills import BillAnswer, BillFailure, DayBill, Trouble
from chalicelib.gateways.cost_explorer import PAGES, CostExplorerBills, read_days
from localaws.world import World
from tests.contract.compute_labs import aws_of
from tests.doubles.faulty_client import lost, refused

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime(2026, 3, 2, tzinfo=UTC)
FIRST, SECOND = date(2026, 3, 2), date(2026, 3, 3)
DATA = Path(os.environ.get("CURFEW_DATA_DIR", Path(__file__).parents[3] / "shared" / "data"))
REAL = DATA / "billing" / "get_cost_and_usage_daily_by_service_2024.json"


@pytest.fixture
def world() -> Iterator[World]:
    with World(regions=("us-east-1", "us-west-2"), seed=1, start=START) as opened:
        yield opened


@pytest.fixture
def bills(world: World) -> CostExplorerBills:
    return CostExplorerBills(aws_of(world))


def settled_box(world: World, **more: Any) -> None:
    """A box that ran on the first day alone, and everything about it known."""
    box = world.start_box("g5.xlarge", market="on-demand", **more)
    world.advance(DAY - HOUR)
    world.boxes.end(box, by="test")
    world.advance(5 * DAY + HOUR)


def answered(answer: BillAnswer | BillFailure) -> BillAnswer:
    assert isinstance(answer, BillAnswer), answer
    return answer


def failed(answer: BillAnswer | BillFailure) -> BillFailure:
    assert isinstance(answer, BillFailure), answer
    return answer


def total(days: tuple[DayBill, ...]) -> Decimal:
    return sum((line.usd for day in days for line in day.lines), Decimal(0))


def asked(world: World) -> int:
    """How many pages were billed."""
    return int(world.truth()["paid_requests"]["cost_explorer"])


def test_each_day_comes_by_service_and_usage_type_and_says_whether_it_is_estimated(
    world: World, bills: CostExplorerBills
) -> None:
    """Every cent of what was billed, and days without any are there too."""
    settled_box(world, region="us-west-2")
    bill = Decimal(world.truth()["account_usd"])
    answer = answered(bills.daily(FIRST, date(2026, 3, 5)))
    assert [(day.day.day, day.is_estimated) for day in answer.days] == [(2, True), (3, True), (4, True)]
    assert {(line.service, line.usage_type) for line in answer.days[0].lines} == {
        ("Amazon Elastic Compute Cloud - Compute", "USW2-BoxUsage:g5.xlarge"),
        ("Amazon Virtual Private Cloud", "USW2-PublicIPv4:InUseAddress"),
        ("EC2 - Other", "USW2-EBS:VolumeUsage.gp3"),
    }
    assert abs(total(answer.days) - bill) < Decimal("1e-8")
    assert (answer.pages, answer.is_whole) == (1, True)


def test_credits_and_refunds_hide_nothing(world: World, bills: CostExplorerBills) -> None:
    """An account whose every dollar is paid by a credit has spent them all the same."""
    world.account.grant(Decimal(1000), "Credit")
    world.account.grant(Decimal(5), "Refund")
    settled_box(world)
    assert total(answered(bills.daily(FIRST, SECOND)).days) > 23


def test_all_pages_are_read_and_counted(world: World, bills: CostExplorerBills) -> None:
    """A day may begin on one page and go on on the next; each page is a cent."""
    settled_box(world)
    whole = answered(bills.daily(FIRST, date(2026, 3, 5)))
    world.ce_page_size = 1
    before = asked(world)
    paged = answered(bills.daily(FIRST, date(2026, 3, 5)))
    assert (paged.days, paged.pages) == (whole.days, 5)
    assert asked(world) - before == 5


def test_the_days_that_came_whole_stand_when_pages_come_slowly(world: World) -> None:
    """The day at which it was cut off may go on, and is left out."""
    settled_box(world)
    world.ce_page_size = 2
    ticks = iter([0.0, 11.0, 11.0])
    bills = CostExplorerBills(aws_of(world), elapsed=lambda: next(ticks))
    answer = answered(bills.daily(FIRST, date(2026, 3, 5)))
    assert (answer.days, answer.pages, answer.is_whole) == ((), 1, False)
    world.ce_page_size = 4
    ticks = iter([0.0, 11.0, 11.0])
    answer = answered(bills.daily(FIRST, date(2026, 3, 5)))
    assert [day.day for day in answer.days] == [FIRST]
    assert total(answer.days) > 23


def test_one_turn_costs_no_more_than_a_limit(world: World, bills: CostExplorerBills) -> None:
    """Whatever the account's size."""
    for size in ("g5.xlarge", "g5.2xlarge", "g4dn.xlarge"):
        world.start_box(size, market="on-demand")
    world.advance(20 * DAY)
    world.ce_page_size = 1
    answer = answered(bills.daily(FIRST, date(2026, 3, 22)))
    assert (answer.pages, answer.is_whole) == (PAGES, False)


@pytest.mark.parametrize(
    "code, trouble",
    [
        ("AccessDeniedException", Trouble.DENIED),
        ("LimitExceededException", Trouble.THROTTLED),
        ("ThrottlingException", Trouble.THROTTLED),
        ("DataUnavailableException", Trouble.NOT_ENABLED),
        ("InternalServerError", Trouble.FAILED),
        ("drop", Trouble.FAILED),
    ],
)
def test_what_goes_wrong_is_an_answer_too(
    world: World, bills: CostExplorerBills, code: str, trouble: Trouble
) -> None:
    """With AWS's own word; and it was called once, because every try may be billed."""
    fault = world.fault(service="ce", code=code)
    failure = failed(bills.daily(FIRST, SECOND))
    assert (failure.trouble, failure.pages, fault.hits) == (trouble, 1, 1)
    assert failure.detail


def test_an_account_without_cost_explorer_says_so() -> None:
    """It is denied in other words than a missing permission."""
    with World(seed=1, start=START, cost_explorer=False) as world:
        bills = CostExplorerBills(aws_of(world))
        assert failed(bills.daily(FIRST, SECOND)).trouble is Trouble.NOT_ENABLED
        world.switch_cost_explorer(on=True)
        assert failed(bills.daily(FIRST, SECOND)).trouble is Trouble.NOT_ENABLED


@pytest.mark.parametrize("error", [refused("SomethingNew"), lost()])
def test_errors_that_nobody_knows_are_failures(error: Exception) -> None:
    """Tried again later."""

    class Broken:
        home_region = "us-east-1"

        def client(self, *_: Any) -> Any:
            raise error

    bills = CostExplorerBills(Broken())  # type: ignore[arg-type]
    assert failed(bills.daily(FIRST, SECOND)).trouble is Trouble.FAILED


MADE_UP: dict[str, Any] = {
    "ResultsByTime": [
        {
            "TimePeriod": {"Start": "2026-03-02", "End": "2026-03-03"},
            "Total": {},
            "Estimated": False,
            "Groups": [
                {"Keys": ["AWS Glue"], "Metrics": {"UnblendedCost": {"Amount": "0", "Unit": "USD"}}},
                {"Keys": ["Tax"], "Metrics": {"UnblendedCost": {"Amount": "3.3", "Unit": "USD"}}},
                {
                    "Keys": ["AWS Secrets Manager"],
                    "Metrics": {"UnblendedCost": {"Amount": "0.0551724144", "Unit": "USD"}},
                },
            ],
        },
        {
            "TimePeriod": {"Start": "2026-03-03", "End": "2026-03-04"},
            "Total": {},
            "Estimated": True,
            "Groups": [
                {
                    "Keys": ["EC2 - Other"],
                    "Metrics": {"UnblendedCost": {"Amount": "-1.5E-7", "Unit": "USD"}},
                }
            ],
        },
    ]
}


def test_amounts_are_read_to_the_last_digit() -> None:
    """As strings, whatever their form; a group without a usage type has none."""
    first, second = read_days(MADE_UP)
    assert (first.day, first.is_estimated, second.is_estimated) == (FIRST, False, True)
    assert [line.usd for line in first.lines] == [Decimal(0), Decimal("3.3"), Decimal("0.0551724144")]
    assert (second.lines[0].usage_type, second.lines[0].usd) == ("", Decimal("-0.00000015"))


@pytest.mark.parametrize(
    "metric",
    [{"Amount": "NaN", "Unit": "USD"}, {"Amount": "much", "Unit": "USD"}, {"Amount": "1", "Unit": "CNY"}, {}],
)
def test_an_answer_that_can_t_be_read_is_a_failure(metric: dict[str, str]) -> None:
    """Never an amount that is made up, and never an exception in a sweep."""
    answer = json.loads(json.dumps(MADE_UP))
    answer["ResultsByTime"][0]["Groups"][0]["Metrics"]["UnblendedCost"] = metric

    class Odd:
        def client(self, service: str, region: str, _: Any) -> Any:
            assert (service, region) == ("ce", "us-east-1")
            return self

        def get_cost_and_usage(self, **_: Any) -> Any:
            return answer

    failure = failed(CostExplorerBills(Odd()).daily(FIRST, SECOND))  # type: ignore[arg-type]
    assert (failure.trouble, failure.pages) == (Trouble.FAILED, 1)


@pytest.mark.skipif(not REAL.exists(), reason=f"no {REAL}: set CURFEW_DATA_DIR to the folder of real data")
def test_a_real_answer_is_read_whole() -> None:
    """86 days of 2024, 26 of them estimated, taxes among the services."""
    days = read_days(json.loads(REAL.read_text()))
    assert (len(days), sum(day.is_estimated for day in days)) == (86, 26)
    assert days[0].day == date(2024, 2, 1)
    assert all(one.day + DAY == following.day for one, following in pairwise(days))
    assert "Tax" in {line.service for day in days for line in day.lines}
    assert total(days) > 0
