"""Turns and locks: a minute's idle ends are counted once, and of two that want a lock one gets it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from chalicelib.ports import Store
from tests.contract.store_examples import MINUTE, NOW

HELD = timedelta(seconds=55)


def test_a_minute_has_so_many_idle_ends_and_the_next_as_many(store: Store) -> None:
    """Counted over all who ask."""
    assert [store.take_idle_end(NOW, at_most=2) for _ in range(3)] == [True, True, False]
    assert store.take_idle_end(NOW + MINUTE, at_most=2)


def test_a_limit_of_nothing_allows_nothing(store: Store) -> None:
    """`idle_ends_per_sweep` may be 0."""
    assert not store.take_idle_end(NOW, at_most=0)


def test_a_lock_is_held_by_one_until_it_is_given_back(store: Store) -> None:
    """And by the next at once after that, with a higher number."""
    first = store.lock("us-east-1/fleet-1", now=NOW, hold_for=HELD)
    assert first is not None
    assert store.lock("us-east-1/fleet-1", now=NOW, hold_for=HELD) is None
    assert store.lock("us-east-1/fleet-2", now=NOW, hold_for=HELD) is not None
    store.unlock("us-east-1/fleet-1", first)
    second = store.lock("us-east-1/fleet-1", now=NOW, hold_for=HELD)
    assert second is not None
    assert second > first


def test_a_dead_holder_keeps_others_out_for_the_time_it_asked_for(store: Store) -> None:
    """Not longer; and what it does later, it does without the lock."""
    first = store.lock("group", now=NOW, hold_for=HELD)
    assert first is not None
    assert store.holds_lock("group", first, now=NOW)
    assert not store.holds_lock("group", first, now=NOW + HELD)
    second = store.lock("group", now=NOW + HELD, hold_for=HELD)
    assert second is not None
    assert not store.holds_lock("group", first, now=NOW)
    store.unlock("group", first)
    assert store.holds_lock("group", second, now=NOW + HELD)


def test_of_many_that_want_a_lock_at_once_one_gets_it(store: Store) -> None:
    """Whatever their order."""
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: store.lock("fleet", now=NOW, hold_for=HELD), range(8)))
    assert len([fence for fence in got if fence is not None]) == 1


def test_denied_regions_are_kept_as_they_were_put_last(store: Store) -> None:
    """None at first."""
    assert store.denied_regions() == {}
    store.put_denied_regions({"us-west-2": NOW})
    store.put_denied_regions({"eu-west-1": NOW + MINUTE})
    assert store.denied_regions() == {"eu-west-1": NOW + MINUTE}
