"""The free tier as the gateway reads it, on localaws and from answers made up in AWS's shape; and how it is kept."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from botocore.stub import Stubber

from chalicelib.domain.free_tier import FreeTier, Offer, Plan
from chalicelib.gateways.aws import Aws, new_session
from chalicelib.gateways.free_tier import ENDPOINT_REGION, PATIENT, AwsFreeTier
from chalicelib.ports import Store
from localaws.world import World
from tests.contract.compute_labs import REGION, aws_of
from tests.contract.store_examples import NOW

HOURS = {
    "service": "Amazon Elastic Compute Cloud",
    "operation": "RunInstances",
    "usageType": "Global-BoxUsage:freetier.micro",
    "region": "global",
    "actualUsageAmount": 620.25,
    "forecastedUsageAmount": 751.5,
    "limit": 750.0,
    "unit": "Hrs",
    "description": "750.0 Hrs for free for 12 months",
    "freeTierType": "12 Months Free",
}
PLAN = {
    "accountId": "123456789012",
    "accountPlanType": "FREE",
    "accountPlanStatus": "ACTIVE",
    "accountPlanRemainingCredits": {"amount": 87.5, "unit": "USD"},
    "accountPlanExpirationDate": "2026-05-11T08:00:00Z",
}


def offer() -> Offer:
    """The same, as Curfew knows it."""
    return Offer(
        service="Amazon Elastic Compute Cloud",
        usage_type="Global-BoxUsage:freetier.micro",
        kind="12 Months Free",
        used=Decimal("620.25"),
        forecast=Decimal("751.5"),
        limit=Decimal(750),
        unit="Hrs",
    )


def test_offers_and_plan_are_read() -> None:
    """Amounts exact, the end of the plan in UTC."""
    with World(regions=(REGION,)) as world:
        world.set_free_tier([HOURS], PLAN)
        told = AwsFreeTier(aws_of(world)).ask(NOW)
    ends_at = datetime(2026, 5, 11, 8, tzinfo=UTC)
    plan = Plan(kind="FREE", status="ACTIVE", credits_usd=Decimal("87.5"), ends_at=ends_at)
    assert told == FreeTier(at=NOW, plan=plan, offers=(offer(),))


def test_an_account_without_a_plan_has_its_offers_all_the_same() -> None:
    """Older accounts have none, and that is said."""
    with World(regions=(REGION,)) as world:
        world.set_free_tier([HOURS])
        told = AwsFreeTier(aws_of(world)).ask(NOW)
    assert (told.plan, told.offers) == (None, (offer(),))
    assert "GetAccountPlanState: the account has no plan" in told.lacking[0]


@pytest.mark.parametrize(
    "code, why", [("AccessDeniedException", "IAM access to billing"), ("ThrottlingException", "Throttling")]
)
def test_a_refusal_is_a_reason(code: str, why: str) -> None:
    """Of each call its own; nothing is raised."""
    with World(regions=(REGION,)) as world:
        for operation in ("GetFreeTierUsage", "GetAccountPlanState"):
            world.fault(service="freetier", operation=operation, code=code)
        told = AwsFreeTier(aws_of(world)).ask(NOW)
    assert (told.plan, told.offers, len(told.lacking)) == (None, (), 2)
    assert all(why in one for one in told.lacking)


def stubbed() -> tuple[AwsFreeTier, Stubber]:
    """The gateway with answers put into its client."""
    session = new_session()
    session.set_credentials("testing", "testing")
    aws = Aws(REGION, session=session)
    stubber = Stubber(aws.client("freetier", ENDPOINT_REGION, PATIENT))
    stubber.activate()
    return AwsFreeTier(aws), stubber


def test_every_page_is_read_up_to_the_third() -> None:
    """Each asked for by the token of the one before; the account has no more offers than that."""
    gateway, stubber = stubbed()
    plan = {**PLAN, "accountPlanExpirationDate": datetime(2026, 5, 11, 8)}  # noqa: DTZ001 as some botocores parse it
    stubber.add_response("get_account_plan_state", plan)
    asked: dict[str, Any] = {"maxResults": 1000}
    for page in ("b", "c", "d"):
        stubber.add_response("get_free_tier_usage", {"freeTierUsages": [HOURS], "nextToken": page}, asked)
        asked = {**asked, "nextToken": page}
    told = gateway.ask(NOW)
    assert told.plan is not None
    assert told.plan.ends_at == datetime(2026, 5, 11, 8, tzinfo=UTC)
    assert told.offers == (offer(),) * 3


def test_what_cannot_be_read_is_a_reason() -> None:
    """No amount is made up."""
    gateway, stubber = stubbed()
    credit = {"amount": float("nan"), "unit": "USD"}
    stubber.add_response(
        "get_account_plan_state", {**PLAN_WITHOUT_END, "accountPlanRemainingCredits": credit}
    )
    stubber.add_response("get_free_tier_usage", {"freeTierUsages": []})
    told = gateway.ask(NOW)
    assert told.plan is None
    assert "can't be read" in told.lacking[0]


PLAN_WITHOUT_END = {name: value for name, value in PLAN.items() if name != "accountPlanExpirationDate"}


class OldBoto3(Aws):
    """Lambda brings its own boto3, which may be older than a call."""

    def client(self, *_: Any, **__: Any) -> Any:
        """A client that has no methods."""
        return object()


def test_a_boto3_that_does_not_know_the_calls_is_a_reason() -> None:
    """Nothing fails."""
    told = AwsFreeTier(OldBoto3(REGION)).ask(NOW)
    assert len(told.lacking) == 2
    assert "does not know" in told.lacking[0]


def test_the_last_answer_is_kept(store: Store) -> None:
    """In both stores, to the digit."""
    assert store.free_tier() is None
    told = FreeTier(at=NOW, offers=(offer(),), plan=Plan(kind="FREE", status="ACTIVE", ends_at=NOW))
    store.keep_free_tier(told)
    assert store.free_tier() == told
