"""Notices in the store: recorded with what they tell, told once, sent by one sender at a time."""

from dataclasses import replace
from datetime import timedelta

from chalicelib.domain.bundles import Trouble
from chalicelib.domain.links import Purpose
from chalicelib.domain.notices import Notice
from chalicelib.ports import Store
from tests.contract.store_examples import MINUTE, NOW, closing, lease, notice, sweep


def claim(store: Store, *, minutes: int = 0, limit: int = 10) -> list[Notice]:
    """What a sender gets at a moment; it has a minute to send."""
    return list(store.claim_notices(now=NOW + minutes * MINUTE, hold_for=MINUTE, limit=limit))


def settle(store: Store, told: Notice, *, sent: bool, retry_in: timedelta = timedelta(0)) -> None:
    """What the sender reports."""
    store.settle_notices([told], sent=sent, retry_at=NOW + retry_in)


def test_a_notice_is_recorded_with_what_it_tells(store: Store) -> None:
    """Opening, saving and closing a lease and a sweep each leave theirs in the outbox."""
    opened = store.open_lease(lease(), revision=0, notices=[notice("opened")])
    saved = store.save_lease(opened, notices=[notice("saved")])
    store.close_lease(closing(saved, None), receipt=None, notices=[notice("closed")])
    store.record_sweep(sweep(), notices=[notice("swept")])

    assert store.waiting_notices() == 4
    assert {one.id for one in claim(store)} == {"opened", "saved", "closed", "swept"}


def test_a_claimed_notice_is_whole(store: Store) -> None:
    """Title, lines and the lease it is about."""
    told = replace(notice(), lines=("one", "two"), lease_id="lease-1")
    store.record_sweep(sweep(), notices=[told])
    assert claim(store) == [told]


def test_the_oldest_come_first_and_no_more_than_asked(store: Store) -> None:
    """By the time of what happened, not of the recording."""
    store.record_sweep(sweep(), notices=[notice(f"n{i}", at=NOW - i * MINUTE) for i in range(5)])

    for ids in (["n4", "n3"], ["n2", "n1"], ["n0"]):
        told = claim(store, limit=2)
        assert [one.id for one in told] == ids
        for one in told:
            settle(store, one, sent=True)


def test_what_others_hold_is_not_overtaken(store: Store) -> None:
    """While one sender is at the older ones, the other gets none that came after them."""
    store.record_sweep(sweep(), notices=[notice(f"n{i}", at=NOW - i * MINUTE) for i in range(5)])
    assert len(claim(store, limit=2)) == 2
    assert claim(store) == []
    assert len(claim(store, minutes=1)) == 5


def test_what_failed_comes_before_what_happened_since(store: Store) -> None:
    """A new message is a reason to try again, and the old one goes first however long its own wait still is."""
    store.record_sweep(sweep(), notices=[notice("old")])
    settle(store, claim(store)[0], sent=False, retry_in=15 * MINUTE)
    assert claim(store, minutes=2) == []
    store.record_sweep(sweep(), notices=[notice("new", at=NOW + 3 * MINUTE)])
    assert [one.id for one in claim(store, minutes=3)] == ["old", "new"]


def test_what_is_refused_again_and_again_keeps_nothing_else_waiting(store: Store) -> None:
    """However much of it there is: what is due comes first, and the rest has what room is left."""
    store.record_sweep(sweep(), notices=[notice(f"refused{i}", at=NOW - MINUTE) for i in range(5)])
    for told in claim(store):
        settle(store, told, sent=False, retry_in=15 * MINUTE)
    store.record_sweep(sweep(), notices=[notice("new")])
    assert [one.id for one in claim(store, limit=3)] == ["refused0", "refused1", "new"]


def test_two_senders_never_take_the_same(store: Store) -> None:
    """What one holds the other does not get, until the hold is over."""
    store.record_sweep(sweep(), notices=[notice()])

    assert len(claim(store)) == 1
    assert claim(store) == []
    assert store.waiting_notices() == 1
    assert len(claim(store, minutes=1)) == 1


def test_a_notice_of_the_future_waits(store: Store) -> None:
    """It is due when what it tells has happened."""
    store.record_sweep(sweep(), notices=[notice(at=NOW + 5 * MINUTE)])
    assert claim(store, minutes=4) == []
    assert len(claim(store, minutes=5)) == 1


def test_the_same_thing_is_told_once_for_ever(store: Store) -> None:
    """While it waits, in the same call, and after it was sent; what comes with it is written all the same."""
    opened = store.open_lease(lease(), revision=0, notices=[notice(), notice("more"), notice()])
    assert store.waiting_notices() == 2
    saved = store.save_lease(opened, notices=[notice()])
    assert store.waiting_notices() == 2

    for told in claim(store):
        settle(store, told, sent=True)
    assert store.waiting_notices() == 0

    store.save_lease(saved, notices=[notice(), notice("new"), notice("more", at=NOW + MINUTE)])
    found = store.lease("lease-1")
    assert found
    assert found.version == 3
    assert [one.id for one in claim(store)] == ["new"]


def test_a_failed_notice_comes_again_when_it_is_due(store: Store) -> None:
    """Not before, and it says how often it was tried."""
    store.record_sweep(sweep(), notices=[notice()])
    settle(store, claim(store)[0], sent=False, retry_in=3 * MINUTE)

    assert claim(store, minutes=2) == []
    assert store.waiting_notices() == 1
    again = claim(store, minutes=3)
    assert [one.tries for one in again] == [1]
    settle(store, again[0], sent=False, retry_in=4 * MINUTE)
    assert [one.tries for one in claim(store, minutes=4)] == [2]


def test_what_is_sent_stays_sent(store: Store) -> None:
    """A second sender that was too slow and reports a failure does not bring it back."""
    store.record_sweep(sweep(), notices=[notice()])
    told = claim(store)[0]
    settle(store, told, sent=True)
    settle(store, told, sent=False)
    settle(store, told, sent=True)
    assert store.waiting_notices() == 0


def test_a_sweep_may_have_much_to_tell(store: Store) -> None:
    """More notices than one transaction takes."""
    store.record_sweep(sweep(), notices=[notice(f"n{i:03}") for i in range(120)])
    assert store.waiting_notices() == 120
    assert len(store.sweeps(limit=5, cursor=None).items) == 1


def test_any_text_can_be_an_id(store: Store) -> None:
    """Ids name regions, boxes and times, in any length and script."""
    long = "incomplete:" + ",".join(f"us-gov-région-{i}" for i in range(200))
    store.record_sweep(sweep(), notices=[notice(long), notice("a#b:c d")])
    store.record_sweep(sweep(), notices=[notice(long)])
    told = claim(store)
    assert {one.id for one in told} == {long, "a#b:c d"}
    for one in told:
        settle(store, one, sent=True)
    assert store.waiting_notices() == 0


def test_what_nothing_else_is_written_with_can_be_told(store: Store) -> None:
    """Once for each id; it is known from then on."""
    assert not store.is_told("digest:2026-11-23")
    for _ in range(2):
        store.tell([notice("digest:2026-11-23")])
    assert store.waiting_notices() == 1
    settle(store, claim(store)[0], sent=True)
    assert store.is_told("digest:2026-11-23")
    assert not store.is_told("digest:2026-11-24")


def test_several_are_settled_at_once(store: Store) -> None:
    """As they were sent: as one message."""
    store.tell([notice(f"n{number}") for number in range(3)])
    first = claim(store)
    store.settle_notices(first, sent=False, retry_at=NOW + MINUTE)
    again = claim(store, minutes=1)
    assert [(one.id, one.tries) for one in again] == [("n0", 1), ("n1", 1), ("n2", 1)]
    store.settle_notices(again, sent=True, retry_at=NOW)
    assert store.waiting_notices() == 0


def test_what_a_message_offers_is_kept_with_it(store: Store) -> None:
    """Its links are not: they are signed when it is sent."""
    told = replace(notice(), offers=tuple(Purpose), offers_until=NOW, lease_id="lease-1")
    store.tell([told])
    assert claim(store) == [told]


def test_since_when_slack_fails_is_known_to_every_process(store: Store) -> None:
    """Until somebody says that it does not."""
    assert store.trouble() is None
    trouble = Trouble(since=NOW, why="Slack answered 404", is_for_good=True)
    store.put_trouble(trouble)
    store.put_trouble(trouble)
    assert store.trouble() == trouble
    store.put_trouble(None)
    store.put_trouble(None)
    assert store.trouble() is None
