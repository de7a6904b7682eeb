"""DynamoDB: transactions that are all or nothing, once a token, and quick."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localaws.template import Template, create_table
from localaws.world import World
from tests.localaws.conftest import ROOT

TABLE = {
    "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "BillingMode": "PAY_PER_REQUEST",
    "TimeToLiveSpecification": {"AttributeName": "expires_epoch", "Enabled": True},
    "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
}
ONCE = Config(retries={"max_attempts": 0, "mode": "standard"})
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
    """A condition that fails undoes the writes before it (botocore, TransactWriteItems: all succeed or all fail)."""
    with pytest.raises(ClientError, match="ConditionalCheckFailed") as caught:
        take(table, "a", amount=51)
    assert [one["Code"] for one in caught.value.response["CancellationReasons"]] == [
        "None",
        "ConditionalCheckFailed",
    ]
    assert (left(table), table.scan(TableName="t")["Count"]) == (50, 1)


def test_concurrent_transactions_admit_exactly_what_fits(table: Any) -> None:
    """Sixty at once into room for fifty: fifty succeed (DynamoDB guide, "Isolation levels": serializable)."""

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
    """The same token within ten minutes is done once; with other items a mismatch (botocore, TransactWriteItems)."""
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
    """TimeToLive is set by its own call, since CreateTable does not take it (botocore, UpdateTimeToLive)."""
    described = table.describe_time_to_live(TableName="t")["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_epoch"}


def expiring(world: World, table: Any, **until: Any) -> None:
    """Items by name that expire so many hours from now, or carry an attribute value as it is."""
    for name, hours in until.items():
        value = hours if isinstance(hours, dict) else {"N": str(int(world.now.timestamp()) + hours * 3600)}
        key = {"pk": {"S": "sweep"}, "sk": {"S": name}}
        table.put_item(TableName="t", Item={**key, "expires_epoch": value})


def kept(table: Any) -> set[str]:
    return {item["sk"]["S"] for item in table.scan(TableName="t")["Items"]}


def test_expired_items_are_taken_away_and_others_stay(world: World, table: Any) -> None:
    """One whose time is past goes; one without it, or whose time has not come, stays (botocore, UpdateTimeToLive)."""
    expiring(world, table, soon=1, late=100)
    world.advance(timedelta(hours=3))
    assert kept(table) == {"left", "late"}


def test_an_expired_item_may_still_be_read_for_days(world: World, table: Any) -> None:
    """Until it is taken away it shows in reads, queries and scans (botocore, UpdateTimeToLive: within two days)."""
    world.items_outlive = timedelta(days=2)
    expiring(world, table, soon=1)
    world.advance(timedelta(days=1))
    assert kept(table) == {"left", "soon"}
    key = {"pk": {"S": "sweep"}, "sk": {"S": "soon"}}
    assert "Item" in table.get_item(TableName="t", Key=key)
    world.advance(timedelta(days=2))
    assert kept(table) == {"left"}


def test_only_recent_numbers_expire(world: World, table: Any) -> None:
    """A text never expires, nor does what is over five years old (DynamoDB guide, "Using time to live")."""
    expiring(world, table, text={"S": "1"}, ancient={"N": "1"}, soon=1)
    world.advance(timedelta(hours=3))
    assert kept(table) == {"left", "text", "ancient"}


@pytest.mark.parametrize("name", ["transact_write_items", "transact_get_items"])
def test_a_conflict_cancels_a_transaction_with_a_reason_for_each_item(
    world: World, table: Any, name: str
) -> None:
    """In the order of the items, None where there is no error (botocore, TransactionCanceledException)."""
    client = world.session().client("dynamodb", config=ONCE)
    world.fault(service="dynamodb", code="TransactionConflict")
    kind = "Get" if "get" in name else "Delete"
    items = [{kind: {"TableName": "t", "Key": {"pk": {"S": "x"}, "sk": {"S": one}}}} for one in "abc"]
    with pytest.raises(client.exceptions.TransactionCanceledException) as caught:
        getattr(client, name)(TransactItems=items)
    reasons = caught.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["TransactionConflict", "None", "None"]
    assert ["Message" in reason for reason in reasons] == [True, False, False]


def test_a_conflict_outside_a_transaction_refuses_writes_alone(world: World, table: Any) -> None:
    """PutItem, UpdateItem and DeleteItem meet TransactionConflictException, reads never do (botocore, GetItem,
    Query)."""
    client = world.session().client("dynamodb", config=ONCE)
    world.fault(service="dynamodb", code="TransactionConflict")
    assert client.get_item(**LEFT)["Item"]["left"] == {"N": "50"}
    assert client.scan(TableName="t")["Count"] == 1
    for write in (
        lambda: client.put_item(TableName="t", Item=LEFT["Key"]),
        lambda: client.delete_item(**LEFT),
        lambda: client.update_item(
            **LEFT, UpdateExpression="REMOVE #l", ExpressionAttributeNames={"#l": "left"}
        ),
    ):
        with pytest.raises(client.exceptions.TransactionConflictException):
            write()
    assert left(table) == 50


def test_a_query_of_an_index_finds_items_by_the_keys_of_the_index(world: World) -> None:
    """In whatever partitions of the table they lie, and backwards if asked (botocore, QueryInput.IndexName and
    ScanIndexForward)."""
    properties = Template(ROOT).table_properties()
    create_table(world, properties, "curfew")
    client = world.session().client("dynamodb")
    for number in range(3):
        keys = {
            "pk": f"RECEIPT#{number}",
            "sk": "RECEIPT",
            "view_pk": "RECEIPTS",
            "view_sk": f"2026-0{number + 1}",
        }
        client.put_item(TableName="curfew", Item={name: {"S": value} for name, value in keys.items()})
    found = client.query(
        TableName="curfew",
        IndexName="view",
        KeyConditionExpression="view_pk = :v",
        ExpressionAttributeValues={":v": {"S": "RECEIPTS"}},
        ScanIndexForward=False,
    )
    assert [item["pk"]["S"] for item in found["Items"]] == ["RECEIPT#2", "RECEIPT#1", "RECEIPT#0"]
