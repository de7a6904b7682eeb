"""Leases in the store: kept whole, written by one writer at a time, closed for good."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from chalicelib.domain.errors import Refused, Stale
from chalicelib.domain.lease import Attempt, Ending, Run, Status, Step
from chalicelib.ports import Store
from tests.contract.store_examples import MINUTE, NOW, closing, lease, receipt


def test_a_new_lease_is_read_back_as_it_was_written(store: Store) -> None:
    """Every field survives: money to the last digit, times to the microsecond, mappings, nested steps."""
    full = lease(
        project="vision",
        launched_at=NOW.replace(microsecond=7),
        ran_before_for=timedelta(days=2, microseconds=1),
        warned_at={"idle": NOW},
        missing_since={"i-1": NOW},
        final_usd=Decimal("1.2345678901234567890123456789"),
        failure={"status": 409, "detail": "no capacity", "tried": ["us-east-1a"]},
        attempts=(
            Attempt(
                token="t",
                operation="RunInstances",
                region="us-east-1",
                parameters={"MinCount": 1},
                started_at=NOW,
            ),
        ),
        runs=(Run(instance_id="i-1", instance_type="g5.xlarge", zone=None, is_spot=True, started_at=NOW),),
        ending=Ending(
            cause="idle",
            reason="quiet",
            figures={"percent": "0"},
            decided_at=NOW,
            claimed_until=NOW + MINUTE,
            steps=(Step(action="terminate", target="i-1", region="us-east-1", tried=2, answer="denied"),),
        ),
    )

    written = store.open_lease(full, revision=0)

    assert written == replace(full, version=1)
    assert store.lease("lease-1") == written
    assert store.open_leases() == (written,)


def test_an_unknown_lease_is_none(store: Store) -> None:
    """Absence is an answer, not an error."""
    assert store.lease("lease-9") is None
    assert store.receipt("lease-9") is None


def test_a_large_lease_is_kept(store: Store) -> None:
    """Sixteen KiB of user data in the order and in each of forty attempts must not make a lease unwritable."""
    data = "".join(chr(33 + (i * i * 7919) % 90) for i in range(22_000))
    attempts = tuple(
        Attempt(
            token=f"t{i}", operation="RunInstances", region="r", parameters={"UserData": data}, started_at=NOW
        )
        for i in range(40)
    )

    written = store.open_lease(lease(attempts=attempts), revision=0)

    assert store.lease("lease-1") == written
    assert store.open_leases() == (written,)
    assert store.leases(limit=5, cursor=None).items == (written,)


def test_a_second_lease_of_the_same_id_is_refused(store: Store) -> None:
    """An Idempotency-Key names one launch: the second writer is told to read the first one's lease."""
    store.open_lease(lease(), revision=0)

    with pytest.raises(Stale, match="lease-1"):
        store.open_lease(lease(owner="ben"), revision=0)

    assert store.open_leases()[0].owner == "ana"


def test_a_closed_lease_is_never_opened_again(store: Store) -> None:
    """The id of a closed lease is as taken as that of an open one."""
    opened = store.open_lease(lease(), revision=0)
    store.close_lease(closing(opened, None), receipt=None)

    with pytest.raises(Stale):
        store.open_lease(lease(), revision=0)

    assert store.open_leases() == ()


def test_saving_moves_the_version_on(store: Store) -> None:
    """Each write answers the lease to make the next one from."""
    first = store.open_lease(lease(), revision=0)

    second = store.save_lease(replace(first, status=Status.ACTIVE))
    third = store.save_lease(replace(second, instance_ids=("i-1",)))

    assert [first.version, second.version, third.version] == [1, 2, 3]
    assert store.lease("lease-1") == third


def test_of_two_writers_one_loses(store: Store) -> None:
    """Both read version 1; the second to write is Stale and has changed nothing."""
    opened = store.open_lease(lease(), revision=0)
    store.save_lease(replace(opened, instance_ids=("i-1",)))

    with pytest.raises(Stale, match="version 1"):
        store.save_lease(replace(opened, instance_ids=("i-2",)), receipt=receipt(opened))

    found = store.lease("lease-1")
    assert found
    assert found.instance_ids == ("i-1",)
    assert store.receipt("lease-1") is None


def test_a_lease_that_was_never_opened_can_not_be_saved(store: Store) -> None:
    """Saving never creates."""
    with pytest.raises(Stale):
        store.save_lease(lease())
    assert store.lease("lease-1") is None


def test_closing_moves_the_lease_and_keeps_its_receipt(store: Store) -> None:
    """Closed: no longer among the open ones, still there under its id, its receipt beside it."""
    opened = store.open_lease(lease(), revision=0)

    closed = store.close_lease(closing(opened, "1.25"), receipt=receipt(opened))

    assert closed.status is Status.CLOSED
    assert closed.version == 2
    assert store.open_leases() == ()
    assert store.lease("lease-1") == closed
    assert store.receipt("lease-1") == receipt(opened)


def test_a_lease_closes_once(store: Store) -> None:
    """Whoever comes second, to close or to save, is Stale."""
    opened = store.open_lease(lease(), revision=0)
    store.close_lease(closing(opened, "1"), receipt=None)

    with pytest.raises(Stale):
        store.close_lease(closing(opened, "2"), receipt=receipt(opened))
    with pytest.raises(Stale):
        store.save_lease(opened)

    found = store.lease("lease-1")
    assert found
    assert found.final_usd == 1
    assert store.receipt("lease-1") is None


def test_an_outdated_lease_does_not_close(store: Store) -> None:
    """What another writer has recorded since is not thrown away."""
    opened = store.open_lease(lease(), revision=0)
    saved = store.save_lease(replace(opened, instance_ids=("i-1",)))

    with pytest.raises(Stale):
        store.close_lease(closing(opened, "1"), receipt=receipt(opened))

    assert store.open_leases() == (saved,)
    assert store.receipt("lease-1") is None


def test_closing_needs_its_time_and_saving_an_open_lease(store: Store) -> None:
    """Two slips of the programmer that would lose a lease are caught at once."""
    opened = store.open_lease(lease(), revision=0)

    with pytest.raises(ValueError, match="closed_at"):
        store.close_lease(opened, receipt=None)
    with pytest.raises(ValueError, match="close_lease"):
        store.save_lease(replace(opened, status=Status.CLOSED))


def test_closed_leases_since_a_moment(store: Store) -> None:
    """Those closed at or after it, in that order, whole."""
    closed = []
    for minute in (2, 0, 1):
        opened = store.open_lease(lease(f"lease-{minute}"), revision=0)
        closed.append(store.close_lease(closing(opened, "1", at=NOW + minute * MINUTE), receipt=None))
    store.open_lease(lease("lease-open"), revision=0)

    assert store.closed_leases(since=NOW + MINUTE) == (closed[2], closed[0])
    assert store.closed_leases(since=NOW + 3 * MINUTE) == ()


def test_a_list_has_open_and_closed_leases_newest_first(store: Store) -> None:
    """Page after page, each once, also when one closes between two pages."""
    opened = [store.open_lease(lease(f"lease-{i}", at=NOW + i * MINUTE), revision=0) for i in range(5)]
    store.close_lease(closing(opened[3], "1"), receipt=None)

    first = store.leases(limit=2, cursor=None)
    store.close_lease(closing(opened[2], "1"), receipt=None)
    second = store.leases(limit=2, cursor=first.next)
    third = store.leases(limit=2, cursor=second.next)

    assert [[one.id for one in page.items] for page in (first, second, third)] == [
        ["lease-4", "lease-3"],
        ["lease-2", "lease-1"],
        ["lease-0"],
    ]
    assert third.next is None


def test_a_full_last_page_has_no_next(store: Store) -> None:
    """A cursor promises that something follows."""
    for i in range(2):
        store.open_lease(lease(f"lease-{i}"), revision=0)

    page = store.leases(limit=2, cursor=None)

    assert [one.id for one in page.items] == ["lease-1", "lease-0"]
    assert page.next is None


@pytest.mark.parametrize("cursor", ["nonsense", "!!", "é", "QUJD", "eHg"])
def test_text_that_is_no_cursor_is_refused(store: Store, cursor: str) -> None:
    """A clear answer, not the first page and not a crash."""
    with pytest.raises(Refused, match="cursor") as caught:
        store.leases(limit=2, cursor=cursor)
    assert caught.value.slug == "bad-cursor"


def test_a_cursor_of_another_list_is_refused(store: Store) -> None:
    """Each list has its own cursors."""
    for i in range(2):
        store.open_lease(lease(f"lease-{i}"), revision=0)
    page = store.leases(limit=1, cursor=None)

    with pytest.raises(Refused, match="cursor"):
        store.receipts(limit=1, cursor=page.next)
