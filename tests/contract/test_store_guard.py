"""What Curfew knows of itself, in both stores."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from chalicelib.domain.due import Learned
from chalicelib.domain.evidence import Evidence, Use, unknown
from chalicelib.domain.guard import Item, Usage
from chalicelib.ports import Store
from tests.contract.store_examples import MONTH, NOW

BUSY = Evidence(use=Use.BUSY, reason="GPU is at 90 %", since=NOW, worked_at=NOW, asked_at=NOW, due_at=NOW)
LEARNED = (
    Learned(lease_id="lease-1", basis="b1", evidence=BUSY),
    Learned(lease_id="lease-2", basis="b2", evidence=replace(unknown("no GPU metric"), asked_at=NOW)),
)


def test_what_was_learned_replaces_what_was_known(store: Store) -> None:
    """All of it, to the microsecond; a lease that is left out is forgotten."""
    assert store.learned() == ()
    store.learn(LEARNED)
    assert store.learned() == LEARNED
    store.learn(LEARNED[1:])
    assert store.learned() == LEARNED[1:]


def test_a_thousand_leases_are_remembered(store: Store) -> None:
    """Far below what one item may weigh."""
    many = tuple(replace(LEARNED[0], lease_id=f"lease-{number}") for number in range(1000))
    store.learn(many)
    assert store.learned() == many


def test_counts_of_a_month_add_up(store: Store) -> None:
    """Since the first of them, and each month by itself."""
    assert store.usage(MONTH) == Usage()
    store.add_usage(MONTH, {Item.TABLE_READS: Decimal("1.5"), Item.LOG_BYTES: Decimal(0)}, since=NOW)
    store.add_usage(
        MONTH, {Item.TABLE_READS: Decimal(2), Item.API_REQUESTS: Decimal(1)}, since=NOW + timedelta(1)
    )
    assert store.usage(MONTH) == Usage(
        counted={Item.TABLE_READS: Decimal("3.5"), Item.API_REQUESTS: Decimal(1)}, since=NOW
    )
    assert store.usage("2026-12") == Usage()


def test_nothing_counted_is_nothing_written(store: Store) -> None:
    """A month begins with its first count."""
    store.add_usage(MONTH, {Item.LOG_BYTES: Decimal(0)}, since=NOW)
    assert store.usage(MONTH) == Usage()
