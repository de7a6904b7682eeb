"""Tokens and the audit trail, in the table and in its twin."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.audit import Change
from chalicelib.domain.errors import NotFound, Refused, Stale, Unavailable
from chalicelib.domain.tokens import Role, Token
from chalicelib.gateways.dynamodb import DynamoStore
from chalicelib.gateways.dynamodb_table import HASTE_SECONDS
from tests.contract.store_examples import MINUTE, NOW
from tests.doubles.faulty_client import FaultyClient, always, lost, once
from tests.doubles.memory_store import MemoryStore
from tests.doubles.store_table import IdleTime

Access = DynamoStore | MemoryStore
ADA = Token(
    id="0123456789ab",
    owner="ada",
    role=Role.LAUNCHER,
    hash="f" * 64,
    created_at=NOW,
    created_by="admin",
    expires_at=NOW + timedelta(days=90),
)
BOB = replace(ADA, id="ba9876543210", owner="bob", expires_at=None, created_at=NOW + MINUTE)
BEGUN = Change(
    id="c1",
    at=NOW,
    owner="ada",
    role="launcher",
    token_id=ADA.id,
    method="DELETE",
    path="/leases/{lease_id}",
    subject="lease-1",
)


@pytest.fixture
def access(store: Access) -> Access:
    """An empty store, of each kind."""
    return store


def test_a_token_is_found_by_its_id_and_listed_newest_first(access: Access) -> None:
    """With everything that was kept of it."""
    assert (access.token(ADA.id), access.tokens()) == (None, ())
    access.add_token(ADA)
    access.add_token(BOB)
    assert (access.token(ADA.id), access.tokens()) == (ADA, (BOB, ADA))


def test_an_id_is_given_once(access: Access) -> None:
    """Nobody's token becomes somebody else's."""
    access.add_token(ADA)
    with pytest.raises(Stale):
        access.add_token(replace(BOB, id=ADA.id))
    assert access.token(ADA.id) == ADA


def test_a_token_is_revoked_once(access: Access) -> None:
    """The first time stands; what never was can't be."""
    access.add_token(ADA)
    gone = replace(ADA, revoked_at=NOW + MINUTE)
    assert access.revoke_token(ADA.id, NOW + MINUTE) == gone
    assert access.revoke_token(ADA.id, NOW + 2 * MINUTE) == gone
    assert access.token(ADA.id) == gone
    with pytest.raises(NotFound):
        access.revoke_token(BOB.id, NOW)


def test_a_token_whose_answer_was_lost_is_kept_once(client: FaultyClient, dynamo_store: DynamoStore) -> None:
    """The write meets itself, and is no stranger."""
    client.after = once("put_item", lost())
    dynamo_store.add_token(ADA)
    assert dynamo_store.tokens() == (ADA,)


def test_what_is_over_vanishes_after_400_days(client: FaultyClient, dynamo_store: DynamoStore) -> None:
    """By the earlier of its end and its revocation; what has no end stays."""
    over = timedelta(days=400)
    dynamo_store.add_token(ADA)
    assert _kept_until(client) == NOW + timedelta(days=90) + over
    dynamo_store.revoke_token(ADA.id, NOW + MINUTE)
    assert _kept_until(client) == NOW + MINUTE + over
    dynamo_store.add_token(BOB)
    assert _kept_until(client) is None
    dynamo_store.note(BEGUN)
    assert _kept_until(client) == NOW + over


def test_wrong_tokens_add_up_by_day(access: Access) -> None:
    """Days without any are not told."""
    today, yesterday = NOW.date(), NOW.date() - timedelta(days=1)
    access.count_wrong_tokens(today, 3)
    access.count_wrong_tokens(today, 4)
    assert access.wrong_tokens([today, yesterday]) == {today: 7}


def test_a_change_is_told_with_its_outcome_once_it_has_one(access: Access) -> None:
    """What is noted again stands in place of what was noted first."""
    access.note(BEGUN)
    assert access.changes(since=None, owner=None, limit=10, cursor=None).items == (BEGUN,)
    done = replace(BEGUN, status=200)
    access.note(done)
    assert access.changes(since=None, owner=None, limit=10, cursor=None).items == (done,)


def test_changes_are_cut_by_time_owner_and_page(access: Access) -> None:
    """Newest first, each once, whoever else's lie between."""
    noted = [
        replace(BEGUN, id=f"c{number}", at=NOW + number * MINUTE, owner="ada" if number % 3 else "bob")
        for number in range(9)
    ]
    for change in noted:
        access.note(change)
    newest = [change for change in reversed(noted) if change.owner == "ada"]
    first = access.changes(since=None, owner="ada", limit=4, cursor=None)
    second = access.changes(since=None, owner="ada", limit=4, cursor=first.next)
    assert ([*first.items, *second.items], second.next) == (newest, None)
    since = access.changes(since=NOW + 4 * MINUTE, owner=None, limit=4, cursor=None)
    rest = access.changes(since=NOW + 4 * MINUTE, owner=None, limit=4, cursor=since.next)
    assert [*since.items, *rest.items] == list(reversed(noted[4:]))
    with pytest.raises(Refused):
        access.changes(since=None, owner=None, limit=4, cursor="nonsense")


def test_the_trail_gives_up_within_a_second(
    client: FaultyClient, dynamo_store: DynamoStore, idle_time: IdleTime
) -> None:
    """A change, least of all an end, waits for it no longer."""
    client.before = always(lost())
    with pytest.raises(Unavailable):
        dynamo_store.note(BEGUN)
    assert idle_time.elapsed() <= HASTE_SECONDS


def _kept_until(client: FaultyClient) -> datetime | None:
    """When what was written last vanishes."""
    item = next(request["Item"] for method, request in reversed(client.calls) if method == "put_item")
    return datetime.fromtimestamp(int(item["expires_epoch"]["N"]), UTC) if "expires_epoch" in item else None
