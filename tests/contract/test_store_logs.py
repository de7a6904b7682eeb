"""Sweeps, receipts, the policy and the account in the store."""

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.errors import Refused, Stale
from chalicelib.domain.policy import Policy
from chalicelib.ports import FirstSight, ReceiptFilter, Store
from tests.contract.store_examples import MINUTE, NOW, closing, lease, receipt, sweep


def test_sweeps_are_kept_newest_first(store: Store) -> None:
    """Whole, page after page."""
    records = [sweep(f"sweep-{i}", at=NOW + i * MINUTE) for i in range(3)]
    for record in records:
        store.record_sweep(record)

    first = store.sweeps(limit=2, cursor=None)
    second = store.sweeps(limit=2, cursor=first.next)

    assert first.items == (records[2], records[1])
    assert second.items == (records[0],)
    assert second.next is None


def test_a_sweep_recorded_twice_is_one(store: Store) -> None:
    """A lost answer makes no second record."""
    for _ in range(2):
        store.record_sweep(sweep())
    assert store.sweeps(limit=5, cursor=None).items == (sweep(),)


def test_lists_are_empty_at_first(store: Store) -> None:
    """An empty page without a next one."""
    for page in (store.sweeps(limit=1, cursor=None), store.receipts(limit=1, cursor=None)):
        assert (page.items, page.next) == ((), None)


def test_a_bad_cursor_is_refused_by_every_list(store: Store) -> None:
    """The same answer everywhere."""
    with pytest.raises(Refused, match="cursor"):
        store.sweeps(limit=1, cursor="x")
    with pytest.raises(Refused, match="cursor"):
        store.receipts(limit=1, cursor="x")


def test_receipts_come_by_decision_newest_first(store: Store) -> None:
    """One a lease; the last word on it stands."""
    for i in range(3):
        opened = store.open_lease(lease(f"lease-{i}"), revision=0)
        saved = store.save_lease(opened, receipt=receipt(opened, at=NOW + i * MINUTE, status="ending"))
        if i:
            store.close_lease(closing(saved, "1"), receipt=receipt(opened, at=NOW + i * MINUTE))

    first = store.receipts(limit=2, cursor=None)
    second = store.receipts(limit=2, cursor=first.next)

    told = [(one.lease_id, one.status) for one in (*first.items, *second.items)]
    assert told == [("lease-2", "done"), ("lease-1", "done"), ("lease-0", "ending")]
    assert second.next is None
    found = store.receipt("lease-1")
    assert found
    assert found.status == "done"


def test_receipts_are_found_by_time_owner_and_region(store: Store) -> None:
    """From a moment on and before another one, page after page; what nobody asked for takes no room on a page."""
    for i in range(6):
        made = lease(f"lease-{i}", owner=("ana", "bob")[i % 2], region=("us-east-1", "eu-west-1")[i // 4])
        opened = store.open_lease(made, revision=0)
        store.save_lease(opened, receipt=receipt(opened, at=NOW + i * MINUTE))

    def told(cursor: str | None = None, limit: int = 9, **wanted: Any) -> tuple[list[str], str | None]:
        page = store.receipts(limit=limit, cursor=cursor, wanted=ReceiptFilter(**wanted))
        return [one.lease_id[-1] for one in page.items], page.next

    assert told() == (["5", "4", "3", "2", "1", "0"], None)
    assert told(since=NOW + 2 * MINUTE, until=NOW + 4 * MINUTE) == (["3", "2"], None)
    assert told(since=NOW + MINUTE, until=NOW) == ([], None)
    assert told(owner="ana") == (["4", "2", "0"], None)
    assert told(owner="ana", region="us-east-1") == (["2", "0"], None)
    assert told(owner="eve") == ([], None)
    first, more = told(owner="bob", limit=2, since=NOW)
    assert first == ["5", "3"]
    assert told(more, owner="bob", limit=2, since=NOW) == (["1"], None)
    assert told(more, owner="bob", limit=2, since=NOW + 2 * MINUTE) == ([], None)


def test_the_policy_is_the_default_until_one_is_put(store: Store) -> None:
    """No init step exists."""
    assert store.policy() == (Policy(), 0)


def test_a_policy_is_kept_whole_under_the_next_version(store: Store) -> None:
    """Durations, decimals and the key `for` survive."""
    policy = Policy.model_validate(
        {"idle": {"after": "PT2H", "gpu_below_percent": "0.5"}, "unleased": {"for": "PT1H", "end": "stop"}}
    )
    assert store.put_policy(policy, if_version=None) == 1
    assert store.policy() == (policy, 1)
    assert policy.unleased.run_for == timedelta(hours=1)


def test_a_policy_is_replaced_at_the_version_that_was_read(store: Store) -> None:
    """Version 0 stands for the defaults; an old version is Stale; none replaces whatever stands there."""
    assert store.put_policy(Policy(), if_version=0) == 1
    assert store.put_policy(Policy(), if_version=1) == 2
    for outdated in (0, 1, 3):
        with pytest.raises(Stale):
            store.put_policy(Policy(), if_version=outdated)
    assert store.put_policy(Policy(), if_version=None) == 3
    assert store.policy()[1] == 3


def test_the_first_sight_of_a_region_is_kept(store: Store) -> None:
    """A second look changes nothing; an empty region has been seen, too."""
    store.record_first_sight("us-east-1", FirstSight(at=NOW, instance_ids=frozenset({"i-1", "i-2"})))
    store.record_first_sight("us-east-1", FirstSight(at=NOW + MINUTE, instance_ids=frozenset({"i-3"})))
    store.record_first_sight("eu-west-1", FirstSight(at=NOW, instance_ids=frozenset()))

    account = store.account()

    assert account.first_sights == {
        "us-east-1": FirstSight(at=NOW, instance_ids=frozenset({"i-1", "i-2"})),
        "eu-west-1": FirstSight(at=NOW, instance_ids=frozenset()),
    }
    assert account.armed_at is None


def test_an_account_is_armed_once(store: Store) -> None:
    """Since the first time."""
    store.arm(NOW)
    store.arm(NOW + MINUTE)
    assert store.account().armed_at == NOW
