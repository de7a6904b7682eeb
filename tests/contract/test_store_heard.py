"""What boxes told of themselves, in both stores."""

from dataclasses import replace

import pytest

from chalicelib.domain.errors import Stale
from chalicelib.domain.evidence import Beat
from chalicelib.domain.heartbeats import Heard
from chalicelib.domain.sync import Synced, Way
from chalicelib.gateways.dynamodb import DynamoStore
from chalicelib.ports import Store
from tests.contract.store_examples import MINUTE, NOW
from tests.doubles.faulty_client import FaultyClient, lost, once

BEAT = Beat(since=NOW - MINUTE, until=NOW, is_busy=True, heard_at=NOW, why="GPU at 97 %")
FIRST = Heard(lease_id="lease-1", instance_id="i-1", counter=7, heard_at=NOW, beats=(BEAT,))
OTHER = replace(FIRST, instance_id="i-2", beats=())


def test_what_a_box_told_is_found_by_its_id_and_with_all_others(store: Store) -> None:
    """To the microsecond."""
    assert (store.heard(), store.heard_of("i-1")) == ((), None)
    store.keep_heard(FIRST, over=None)
    store.keep_heard(OTHER, over=None)
    assert store.heard() == (FIRST, OTHER)
    assert store.heard_of("i-1") == FIRST


def test_of_two_reports_at_once_none_is_lost(store: Store) -> None:
    """The second one has to be put over the first."""
    store.keep_heard(FIRST, over=None)
    later, meanwhile = replace(FIRST, counter=9), replace(FIRST, counter=8)
    store.keep_heard(meanwhile, over=FIRST)
    for stale in (FIRST, None):
        with pytest.raises(Stale):
            store.keep_heard(later, over=stale)
    assert store.heard_of("i-1") == meanwhile
    store.keep_heard(later, over=meanwhile)
    assert store.heard_of("i-1") == later


def test_a_report_whose_answer_was_lost_is_kept_once(client: FaultyClient, dynamo_store: DynamoStore) -> None:
    """The write meets itself, and is no stranger."""
    client.after = once("put_item", lost())
    dynamo_store.keep_heard(FIRST, over=None)
    assert dynamo_store.heard() == (FIRST,)


def test_what_a_box_told_last_of_its_data_stands_by_lease(store: Store) -> None:
    """Each way of each box, the later report over the earlier."""
    first = Synced(lease_id="lease-1", instance_id="i-1", way=Way.PUSH, done=1, left=2, problem="", at=NOW)
    others = (replace(first, way=Way.FETCH), replace(first, instance_id="i-2"))
    for told in (first, *others, replace(first, lease_id="lease-2"), replace(first, done=3, left=0)):
        store.keep_synced(told)
    assert set(store.synced("lease-1")) == {*others, replace(first, done=3, left=0)}
    assert store.synced("lease-3") == ()
