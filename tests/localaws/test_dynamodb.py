"""DynamoDB: transactions that are all or nothing, once a token, and quick."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.template import create_table
from localaws.world import World

TABLE = {
    "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "BillingMode": "PAY_PER_REQUEST",
    "TimeToLiveSpecification": {"AttributeName": "expires_epoch", "Enabled": True},
    "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
}
LEFT = {"TableName": "t", "Key": {"pk": {"S": "budget"}, "sk": {"S": "left"}}}


@pytest.fixture
def table(world: World) -> Any:
    create_table(world, TABLE, "t")
    client = world.session().client("dynamodb")
    client.put_item(TableName="t", Item={**LEFT["Key"], "left": {"N": "50"}})
    return client


def take(client: Any, lease: str, amount: int = 1, **more: Any) -> None:
    client.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": "t", "Item": {"pk": {"S": "lease"}, "sk": {"S": lease}}}},
            {
                "Update": {
                    **LEFT,
                    "UpdateExpression": "SET #left = #left - :n",
                    "ConditionExpression": "#left >= :n",
                    "ExpressionAttributeNames": {"#left": "left"},
                    "ExpressionAttributeValues": {":n": {"N": str(amount)}},
                }
            },
        ],
        **more,
    )


def left(client: Any) -> int:
    return int(client.get_item(**LEFT)["Item"]["left"]["N"])


def test_a_failed_transaction_leaves_nothing_behind(table: Any) -> None:
    """A condition that fails undoes the writes before it, also those on items that were not there."""
    with pytest.raises(ClientError, match="ConditionalCheckFailed") as caught:
        take(table, "a", amount=51)
    assert [one["Code"] for one in caught.value.response["CancellationReasons"]] == [
        "None",
        "ConditionalCheckFailed",
    ]
    assert (left(table), table.scan(TableName="t")["Count"]) == (50, 1)


def test_concurrent_transactions_admit_exactly_what_fits(table: Any) -> None:
    """Sixty at once into room for fifty: fifty succeed."""

    def attempt(number: int) -> bool:
        try:
            take(table, f"l{number}")
        except ClientError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        admitted = sum(pool.map(attempt, range(60)))
    assert (admitted, left(table), table.scan(TableName="t")["Count"]) == (50, 0, 51)


def test_a_transaction_is_done_once_for_its_token(world: World, table: Any) -> None:
    """The same ClientRequestToken within ten minutes succeeds without effect; with other items it is a mismatch."""
    for _ in range(2):
        take(table, "a", amount=5, ClientRequestToken="t-1")
    assert left(table) == 45
    with pytest.raises(ClientError, match="IdempotentParameterMismatchException"):
        take(table, "a", amount=6, ClientRequestToken="t-1")
    world.advance(timedelta(minutes=11))
    take(table, "a", amount=5, ClientRequestToken="t-1")
    assert left(table) == 40


def test_a_lost_answer_is_found_again_by_the_client_itself(world: World, table: Any) -> None:
    """botocore tries again with the same token, so that the money is taken once."""
    world.fault(service="dynamodb", operation="TransactWriteItems", lost_answer=True, times=1)
    take(table, "a", amount=5)
    assert left(table) == 45


def test_transactions_cost_what_they_touch_and_not_the_table(table: Any) -> None:
    """A thousand items in the table don't slow a transaction down: moto alone copies them all each time."""
    for number in range(1000):
        table.put_item(
            TableName="t", Item={"pk": {"S": "x"}, "sk": {"S": str(number)}, "v": {"S": "y" * 100}}
        )
    began = time.process_time()
    for number in range(20):
        take(table, f"l{number}")
    assert time.process_time() - began < 1


def test_the_table_expires_its_items_by_its_own_attribute(table: Any) -> None:
    """TimeToLive is set by its own call, since CreateTable does not take it."""
    described = table.describe_time_to_live(TableName="t")["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_epoch"}


def test_expired_items_vanish_within_hours(world: World, table: Any) -> None:
    """An item whose expires_epoch is past is taken away; one without it, or whose time has not come, stays."""
    soon, late = (int((world.now + timedelta(hours=hours)).timestamp()) for hours in (1, 100))
    for name, until in (("soon", soon), ("late", late)):
        key = {"pk": {"S": "sweep"}, "sk": {"S": name}}
        table.put_item(TableName="t", Item={**key, "expires_epoch": {"N": str(until)}})
    world.advance(timedelta(hours=3))
    kept = {item["sk"]["S"] for item in table.scan(TableName="t")["Items"]}
    assert kept == {"left", "late"}
