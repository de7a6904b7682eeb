"""How the DynamoDB store reads and writes: what is one transaction, what is consistent, who wins a race."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.domain.errors import BudgetExceeded
from chalicelib.domain.policy import Policy
from chalicelib.gateways.dynamodb import DynamoStore
from tests.contract.store_examples import (
    MINUTE,
    NOW,
    budget,
    charge,
    closing,
    lease,
    notice,
    receipt,
    revision,
    rival_of,
    sweep,
    usd,
    with_budget,
)
from tests.doubles.faulty_client import FaultyClient
from tests.doubles.store_table import IdleTime

WRITES = ("put_item", "update_item", "delete_item", "transact_write_items")


def writes(client: FaultyClient) -> list[str]:
    """The writes sent so far."""
    return [method for method, _ in client.calls if method in WRITES]


def test_a_launch_is_one_transaction(client: FaultyClient, dynamo_store: DynamoStore) -> None:
    """Lease, budgets, their revision and the notice stand or fall together."""
    at = with_budget(dynamo_store)
    client.calls.clear()

    dynamo_store.open_lease(lease("lease-1", charge("1")), revision=at, notices=[notice()])

    assert writes(client) == ["transact_write_items"]


def test_saving_a_lease_alone_is_one_plain_write(client: FaultyClient, dynamo_store: DynamoStore) -> None:
    """A transaction costs twice as much."""
    opened = dynamo_store.open_lease(lease(), revision=0)
    client.calls.clear()
    dynamo_store.save_lease(opened)
    assert [method for method, _ in client.calls] == ["put_item"]


def test_what_decides_is_read_consistently(client: FaultyClient, dynamo_store: DynamoStore) -> None:
    """Leases, budgets, notices, policy and account: never from the index, never late."""
    with_budget(dynamo_store)
    dynamo_store.open_leases()
    dynamo_store.lease("lease-1")
    dynamo_store.claim_notices(now=NOW, hold_for=MINUTE, limit=1)
    dynamo_store.policy()
    dynamo_store.account()

    reads: list[dict[str, Any]] = []
    for method, call in client.calls:
        if method == "batch_get_item":
            reads += call["RequestItems"].values()
        elif method in {"get_item", "query"}:
            reads.append(call)
    assert reads
    assert all(read["ConsistentRead"] for read in reads)


def test_a_budget_changed_between_two_reads_is_read_again(
    client: FaultyClient, dynamo_store: DynamoStore
) -> None:
    """The revision belongs to the definitions, and what is left to both."""
    with_budget(dynamo_store)
    rival = rival_of(dynamo_store, client)
    changes: list[Callable[[], int]] = [lambda: with_budget(rival, budget(limit="50"))]

    def before(method: str) -> None:
        if method == "batch_get_item" and changes:
            changes.pop()()

    client.before = before

    book = dynamo_store.budgets(NOW)

    assert book.revision == 2
    assert [(state.budget.limit_usd, state.left_usd) for state in book.states] == [(usd("50"), usd("50"))]


def test_a_notice_told_by_another_meanwhile_does_not_stop_the_lease(
    client: FaultyClient, dynamo_store: DynamoStore
) -> None:
    """It is left out; the lease and the other notice are written."""
    rival = rival_of(dynamo_store, client)
    races: list[Callable[[], None]] = [
        lambda: rival.record_sweep(sweep(), notices=[notice("raced", at=NOW - MINUTE)])
    ]

    def before(method: str) -> None:
        if method == "transact_write_items" and races:
            races.pop()()

    client.before = before

    opened = dynamo_store.open_lease(lease(), revision=0, notices=[notice("raced"), notice("mine")])

    assert dynamo_store.open_leases() == (opened,)
    assert dynamo_store.waiting_notices() == 2


def test_what_was_told_already_costs_no_failed_transaction(
    client: FaultyClient, dynamo_store: DynamoStore
) -> None:
    """A sweep repeats what it sees every minute: known notices are left out beforehand."""
    dynamo_store.record_sweep(sweep(), notices=[notice()])
    client.calls.clear()
    dynamo_store.record_sweep(sweep("sweep-2"), notices=[notice()])
    assert writes(client) == ["put_item"]


def test_a_notice_claimed_by_another_meanwhile_is_left_to_it(
    client: FaultyClient, dynamo_store: DynamoStore
) -> None:
    """With what came after it; once it has sent it the rest is anybody's."""
    dynamo_store.record_sweep(sweep(), notices=[notice("a"), notice("b")])
    rival = rival_of(dynamo_store, client)
    races: list[Callable[[], object]] = [lambda: rival.claim_notices(now=NOW, hold_for=MINUTE, limit=1)]

    def before(method: str) -> None:
        if method == "update_item" and races:
            races.pop()()

    client.before = before

    assert dynamo_store.claim_notices(now=NOW, hold_for=MINUTE, limit=2) == ()
    rival.settle_notices([notice("a")], sent=True, retry_at=NOW)
    claimed = dynamo_store.claim_notices(now=NOW, hold_for=MINUTE, limit=2)
    assert [one.id for one in claimed] == ["b"]


def test_two_replacements_of_the_policy_both_count(client: FaultyClient, dynamo_store: DynamoStore) -> None:
    """Without a version the last one stands, and none is Stale."""
    rival = rival_of(dynamo_store, client)
    races: list[Callable[[], object]] = [lambda: rival.put_policy(Policy(), if_version=None)]

    def before(method: str) -> None:
        if method == "put_item" and races:
            races.pop()()

    client.before = before

    assert dynamo_store.put_policy(Policy(), if_version=None) == 2


class Sparing:
    """DynamoDB with small pages and batches answered in part."""

    def __init__(self, client: FaultyClient) -> None:
        self.client = client

    def __getattr__(self, method: str) -> Callable[..., Any]:
        made: Callable[..., Any] = getattr(self.client, method)
        return made

    def query(self, **request: Any) -> Any:
        """Two items a page."""
        return self.client.query(**{**request, "Limit": min(2, request.get("Limit", 2))})

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> Any:  # noqa: N803 (boto3's name)
        """Two keys a call; the rest comes back unprocessed."""
        ((table, asked),) = RequestItems.items()
        keys = asked["Keys"]
        answer = self.client.batch_get_item(RequestItems={table: {**asked, "Keys": keys[:2]}})
        rest = {table: {**asked, "Keys": keys[2:]}} if keys[2:] else {}
        return {**answer, "UnprocessedKeys": rest}


def test_small_pages_and_partial_batches_lose_nothing(
    client: FaultyClient, dynamo_store: DynamoStore, idle_time: IdleTime
) -> None:
    """Every list is read to its end."""
    sparing: Any = Sparing(client)
    store = DynamoStore(
        lambda: sparing, dynamo_store._table.name, sleep=idle_time.sleep, elapsed=idle_time.elapsed
    )
    for i in range(5):
        with_budget(store, budget(f"b{i}"))
        opened = store.open_lease(
            lease(f"lease-{i}", at=NOW + i * MINUTE), revision=revision(store), notices=[notice(f"n{i}")]
        )
        store.open_lease(lease(f"open-{i}", at=NOW - MINUTE), revision=revision(store))
        store.close_lease(closing(opened, "1"), receipt=receipt(opened))

    assert len(store.open_leases()) == 5
    assert len(store.closed_leases(since=NOW)) == 5
    assert len(store.budgets(NOW).states) == 5
    assert store.waiting_notices() == 5
    assert len(store.claim_notices(now=NOW, hold_for=MINUTE, limit=9)) == 5
    page = store.leases(limit=7, cursor=None)
    assert len(page.items) == 7
    assert len(store.leases(limit=7, cursor=page.next).items) == 3
    assert len(store.receipts(limit=9, cursor=None).items) == 5


def test_only_what_may_vanish_has_an_end(dynamo_store: DynamoStore, client: FaultyClient) -> None:
    """Sweeps after 30 days and the memory of notices after 40; leases, money, receipts and waiting notices never."""
    at = with_budget(dynamo_store)
    told = [notice()]
    opened = dynamo_store.open_lease(lease("lease-1", charge("1")), revision=at, notices=told)
    dynamo_store.close_lease(closing(opened, "1"), receipt=receipt(opened))
    dynamo_store.open_lease(lease("lease-2"), revision=at)
    dynamo_store.record_sweep(sweep())
    dynamo_store.put_policy(Policy(), if_version=None)
    dynamo_store.arm(NOW)

    items = client.client.scan(TableName=dynamo_store._table.name)["Items"]
    ends = {
        item["pk"]["S"]: (int(item["expires_epoch"]["N"]) - NOW.timestamp()) / 86_400
        for item in items
        if "expires_epoch" in item
    }
    assert ends == {"SWEEPS": 30, "NOTICE#told": 40}
    assert len(items) == 11


def test_a_full_budget_is_told_from_what_the_transaction_met(
    client: FaultyClient, dynamo_store: DynamoStore
) -> None:
    """What is left is that of the refused moment, not of an earlier read."""
    at = with_budget(dynamo_store, budget(limit="10"))
    rival = rival_of(dynamo_store, client)
    races: list[Callable[[], object]] = [
        lambda: rival.open_lease(lease("rival", charge("7")), revision=at),
    ]

    def before(method: str) -> None:
        if method == "transact_write_items" and races:
            races.pop()()

    client.before = before

    with pytest.raises(BudgetExceeded) as caught:
        dynamo_store.open_lease(lease("lease-1", charge("4")), revision=at)
    assert caught.value.extra["left_usd"] == "3"


def test_a_policy_that_another_version_put_is_read_as_far_as_it_is_understood(
    client: FaultyClient, dynamo_store: DynamoStore, caplog: pytest.LogCaptureFixture
) -> None:
    """After a rollback the sweeps go on, the log names what is passed over, and the next PUT replaces it."""
    dynamo_store.put_policy(Policy(), if_version=None)
    (put,) = [call for method, call in client.calls if method == "put_item"]
    document = json.loads(put["Item"]["doc"]["S"])
    document["idle"] |= {"after": "PT5M", "by_process": "on"}
    client.client.put_item(
        TableName=put["TableName"], Item={**put["Item"], "doc": {"S": json.dumps(document)}}
    )

    policy, version = dynamo_store.policy()

    assert (policy.idle.after, policy.not_understood, version) == (5 * MINUTE, ("idle.by_process",), 1)
    assert "idle.by_process" in caplog.text
    assert dynamo_store.put_policy(policy, if_version=1) == 2
    assert dynamo_store.policy()[0].not_understood == ()
