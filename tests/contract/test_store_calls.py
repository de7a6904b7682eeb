"""Calls under an Idempotency-Key, in both stores: one process makes them, and what it answered is kept for a day."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from botocore.exceptions import EndpointConnectionError

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.once import MOST_BYTES, KeptAnswer, KeyedCall, may_begin
from chalicelib.gateways.dynamodb import DynamoStore
from chalicelib.ports import Store
from tests.contract.store_examples import MINUTE, NOW
from tests.doubles.faulty_client import FaultyClient, lost, once

FIRST = KeyedCall(id="k", fingerprint="wish", holder="first", began_at=NOW)
SECOND = replace(FIRST, holder="second", began_at=NOW + timedelta(seconds=1))
ANSWER = KeptAnswer(status=201, body='{"id":"é"}', headers={"Location": "/leases/lease-1"})
SECOND_LATER = timedelta(seconds=61)


def at(call: KeyedCall, later: timedelta) -> KeyedCall:
    """The same call, made later by another process."""
    return replace(call, holder=f"after-{later}", began_at=NOW + later)


def test_a_call_is_begun_by_one_and_told_to_all_others(store: Store) -> None:
    """First in flight, then with its answer, to the letter."""
    assert store.begin_call(FIRST) == FIRST
    assert store.begin_call(SECOND) == FIRST
    store.keep_call(replace(FIRST, answer=ANSWER))
    assert store.begin_call(SECOND) == replace(FIRST, answer=ANSWER)
    other = replace(SECOND, id="other")
    assert store.begin_call(other) == other


def test_a_forgotten_call_leaves_its_key_free(store: Store) -> None:
    """Also for another wish."""
    store.begin_call(FIRST)
    store.forget_call(FIRST)
    other = replace(SECOND, fingerprint="another")
    assert store.begin_call(other) == other


@pytest.mark.parametrize("wish", ["wish", "another"])
@pytest.mark.parametrize("is_answered", [True, False])
@pytest.mark.parametrize("seconds", [0, 59, 60, 61, 86_399, 86_400, 90_000])
def test_a_store_begins_what_may_begin(store: Store, wish: str, seconds: int, *, is_answered: bool) -> None:
    """As the domain says it: after a day, or once the first is surely dead and the wish the same."""
    standing = replace(FIRST, answer=ANSWER if is_answered else None)
    store.begin_call(FIRST)
    if is_answered:
        store.keep_call(standing)
    asked = replace(at(FIRST, timedelta(seconds=seconds)), fingerprint=wish)
    assert store.begin_call(asked) == (asked if may_begin(asked, standing) else standing)


def test_who_was_given_up_keeps_and_forgets_nothing(store: Store) -> None:
    """A process that wakes after its minute leaves the key to who took it over."""
    store.begin_call(FIRST)
    taken_over = at(FIRST, SECOND_LATER)
    assert store.begin_call(taken_over) == taken_over
    store.forget_call(FIRST)
    store.keep_call(replace(FIRST, answer=ANSWER))
    assert store.begin_call(at(FIRST, SECOND_LATER + MINUTE / 2)) == taken_over


def test_of_many_at_once_one_begins(store: Store) -> None:
    """The first time, and when a dead one is taken over."""
    for later in (timedelta(0), SECOND_LATER):
        asked = [replace(FIRST, holder=f"{later}-{n}", began_at=NOW + later) for n in range(8)]
        with ThreadPoolExecutor(8) as pool:
            standing = list(pool.map(store.begin_call, asked))
        assert len({one.holder for one in standing}) == 1
        assert [one for one in asked if one in standing] == standing[:1]


def test_the_longest_answer_fits_into_an_item(store: Store) -> None:
    """Of letters that can't be deflated."""
    body = "".join(chr(33 + (7919 * n * n + n) % 90) for n in range(MOST_BYTES))
    store.begin_call(FIRST)
    store.keep_call(replace(FIRST, answer=replace(ANSWER, body=body)))
    kept = store.begin_call(SECOND).answer
    assert kept is not None
    assert kept.body == body


def test_a_beginning_whose_answer_was_lost_is_ones_own(
    client: FaultyClient, dynamo_store: DynamoStore
) -> None:
    """The write meets itself, and the call goes on."""
    client.after = once("put_item", lost())
    assert dynamo_store.begin_call(FIRST) == FIRST


def test_a_table_that_does_not_answer_begins_nothing(client: FaultyClient, dynamo_store: DynamoStore) -> None:
    """Within seconds, and it says so."""
    client.before = lambda _: EndpointConnectionError(endpoint_url="https://table")
    with pytest.raises(Unavailable, match="Nothing was done"):
        dynamo_store.begin_call(FIRST)
