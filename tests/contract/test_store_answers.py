"""What the DynamoDB store does when DynamoDB is busy, in conflict, or silent: money moves once or not at all."""

from dataclasses import replace

import pytest

from chalicelib.domain.errors import Stale, Unavailable
from chalicelib.domain.policy import Policy
from chalicelib.gateways.dynamodb import DynamoStore
from chalicelib.gateways.dynamodb_table import PATIENCE_SECONDS
from tests.contract.store_examples import (
    MINUTE,
    NOW,
    charge,
    closing,
    lease,
    left,
    notice,
    receipt,
    revision,
    rival_of,
    sweep,
    with_budget,
)
from tests.doubles.faulty_client import FaultyClient, always, conflict, lost, once, refused
from tests.doubles.store_table import IdleTime

WRITES = ("put_item", "update_item", "delete_item", "transact_write_items")
MIXED = ["ConditionalCheckFailed", "None", "TransactionConflict"]


def next_write_loses_its_answer(client: FaultyClient) -> None:
    """The next write takes effect, and nobody hears of it."""
    waiting = [lost()]

    def after(method: str) -> Exception | None:
        return waiting.pop() if method in WRITES and waiting else None

    client.after = after


def test_a_launch_whose_answer_is_lost_holds_once(client: FaultyClient, dynamo_store: DynamoStore) -> None:
    """Sent again with the same token, it meets its own lease and knows it."""
    at = with_budget(dynamo_store)
    next_write_loses_its_answer(client)

    opened = dynamo_store.open_lease(lease("lease-1", charge("60")), revision=at, notices=[notice()])

    assert dynamo_store.open_leases() == (opened,)
    assert left(dynamo_store) == 40
    assert dynamo_store.waiting_notices() == 1
    tokens = [call["ClientRequestToken"] for method, call in client.calls if method == "transact_write_items"]
    assert len(tokens) == 2
    assert len(set(tokens)) == 1


def test_every_other_write_whose_answer_is_lost_counts_once(
    client: FaultyClient, dynamo_store: DynamoStore
) -> None:
    """Budgets, policy, saving, extending and closing a lease: each is done, and done once."""
    next_write_loses_its_answer(client)
    at = with_budget(dynamo_store)
    opened = dynamo_store.open_lease(lease("lease-1", charge("60")), revision=at)
    next_write_loses_its_answer(client)
    saved = dynamo_store.save_lease(opened)
    next_write_loses_its_answer(client)
    saved = dynamo_store.save_lease(saved, receipt=receipt(saved), notices=[notice()])
    next_write_loses_its_answer(client)
    more = dynamo_store.rehold(replace(saved, charges=(charge("70"),)), before=saved.charges, revision=at)
    assert left(dynamo_store) == 30
    next_write_loses_its_answer(client)
    closed = dynamo_store.close_lease(closing(more, "2"), receipt=receipt(more))

    assert dynamo_store.lease("lease-1") == closed
    assert closed.version == 5
    assert left(dynamo_store) == 98
    next_write_loses_its_answer(client)
    dynamo_store.delete_budget("account", revision=at)
    assert revision(dynamo_store) == at + 1
    for version in (1, 2):
        next_write_loses_its_answer(client)
        assert dynamo_store.put_policy(Policy(), if_version=None) == version


def test_notices_whose_answers_are_lost_are_told_once(
    client: FaultyClient, dynamo_store: DynamoStore
) -> None:
    """Recorded once, claimed by the one who asked, and settled."""
    next_write_loses_its_answer(client)
    dynamo_store.record_sweep(sweep(), notices=[notice()])
    assert dynamo_store.waiting_notices() == 1

    next_write_loses_its_answer(client)
    claimed = dynamo_store.claim_notices(now=NOW, hold_for=MINUTE, limit=5)
    assert claimed == (notice(),)
    next_write_loses_its_answer(client)
    dynamo_store.settle_notices(claimed, sent=False, retry_at=NOW)
    next_write_loses_its_answer(client)
    dynamo_store.settle_notices(claimed, sent=True, retry_at=NOW)
    assert dynamo_store.waiting_notices() == 0


def test_another_writers_lease_is_not_taken_for_ones_own(
    client: FaultyClient, dynamo_store: DynamoStore
) -> None:
    """No answer, nothing done, and meanwhile somebody else opened the very same lease: Stale, not success."""
    rival = rival_of(dynamo_store, client)

    def before(method: str) -> Exception | None:
        if method == "transact_write_items" and rival.lease("lease-1") is None:
            rival.open_lease(lease(), revision=0)
            return lost()
        return None

    client.before = before

    with pytest.raises(Stale, match="lease-1"):
        dynamo_store.open_lease(lease(), revision=0)


@pytest.mark.parametrize(
    "error",
    [
        conflict(),
        refused("TransactionCanceledException", reasons=MIXED),
        refused("TransactionCanceledException", reasons=["ThrottlingError", "None"]),
        refused("ProvisionedThroughputExceededException"),
        refused("TransactionInProgressException"),
        refused("ThrottlingException"),
        refused("InternalServerError", status=500),
        refused("503", status=503),
        lost(),
    ],
    ids=str,
)
def test_what_passes_is_tried_again(
    client: FaultyClient, dynamo_store: DynamoStore, idle_time: IdleTime, error: Exception
) -> None:
    """Conflict, throttling, server errors and silence: after a short wait the launch goes through."""
    at = with_budget(dynamo_store)
    client.before = once("transact_write_items", error, error, error)

    dynamo_store.open_lease(lease("lease-1", charge("1")), revision=at)

    assert left(dynamo_store) == 99
    assert len(idle_time.slept) == 3


def test_a_conflict_that_does_not_pass_is_no_full_budget(
    client: FaultyClient, dynamo_store: DynamoStore, idle_time: IdleTime
) -> None:
    """After 20 s it is Unavailable, with a sentence on the money; nothing was written."""
    at = with_budget(dynamo_store)
    client.before = lambda method: conflict() if method == "transact_write_items" else None

    with pytest.raises(Unavailable, match=r"Nothing was started.*next sweep gives it back"):
        dynamo_store.open_lease(lease("lease-1", charge("1")), revision=at)

    assert PATIENCE_SECONDS - 1.1 < idle_time.elapsed() <= PATIENCE_SECONDS
    assert max(idle_time.slept) <= 1
    assert len({round(wait, 6) for wait in idle_time.slept}) > len(idle_time.slept) / 2
    assert dynamo_store.lease("lease-1") is None
    assert left(dynamo_store) == 100


def test_what_does_not_pass_is_not_waited_for(
    client: FaultyClient, dynamo_store: DynamoStore, idle_time: IdleTime
) -> None:
    """A denied or malformed call is Unavailable at once, and says AWS's reason."""
    client.before = always(refused("AccessDeniedException"))

    with pytest.raises(Unavailable, match="AccessDeniedException") as caught:
        dynamo_store.open_leases()

    assert caught.value.extra["code"] == "AccessDeniedException"
    assert idle_time.slept == []


def test_a_silence_that_lasts_says_what_it_means(client: FaultyClient, dynamo_store: DynamoStore) -> None:
    """A lease that could not be saved, or whose saving could not be confirmed, goes on as it was recorded."""
    opened = dynamo_store.open_lease(lease(), revision=0)
    client.before = always(lost())
    with pytest.raises(Unavailable, match="next sweep judges it anew"):
        dynamo_store.save_lease(opened)
    client.before = lambda method: lost() if method == "get_item" else None
    next_write_loses_its_answer(client)
    with pytest.raises(Unavailable, match="next sweep judges it anew"):
        dynamo_store.save_lease(opened)
