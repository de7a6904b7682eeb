"""What Curfew knows of itself, in both stores."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

from chalicelib.domain.evidence import Evidence, Use, unknown
from chalicelib.domain.guard import Item, Usage
from chalicelib.domain.learned import Learned
from chalicelib.domain.metrics import Dimensions, Gpus
from chalicelib.gateways.dynamodb import DynamoStore
from chalicelib.gateways.dynamodb_codec import document, to_text
from chalicelib.gateways.dynamodb_guard import EVIDENCE, PER_ITEM
from chalicelib.gateways.dynamodb_table import Write
from chalicelib.ports import Store
from tests.contract.store_examples import MONTH, NOW

GPUS = tuple(
    (
        ("InstanceId", "i-0aaaaaaaaaaaaaaa1"),
        ("arch", "x86_64"),
        ("index", str(n)),
        ("name", "NVIDIA H100 80GB HBM3"),
    )
    for n in range(8)
)
BUSY = Evidence(use=Use.BUSY, reason="GPU is at 90 %", since=NOW, worked_at=NOW, asked_at=NOW, due_at=NOW)
LEARNED = (
    Learned(lease_id="lease-1", basis="b1", evidence=BUSY),
    Learned(
        lease_id="lease-2",
        basis="b2",
        evidence=replace(unknown("no GPU metric"), asked_at=NOW),
        gpus={"i-0aaaaaaaaaaaaaaa1": Gpus(dimensions=GPUS, launched_at=NOW)},
        unknown_since=NOW,
    ),
)


def test_what_was_learned_replaces_what_was_known(store: Store) -> None:
    """All of it, to the microsecond; a lease that is left out is forgotten."""
    assert store.learned() == ()
    store.learn(LEARNED)
    assert store.learned() == LEARNED
    store.learn(LEARNED[1:])
    assert store.learned() == LEARNED[1:]


def of_many(number: int, **evidence: Any) -> tuple[Learned, ...]:
    """Answers about so many leases, no two alike, as little to be deflated as real ones are."""
    return tuple(
        Learned(
            lease_id=f"lease-{sha256(b'%d' % one).hexdigest()[:17]}",
            basis=sha256(b"basis %d" % one).hexdigest()[:16],
            evidence=replace(BUSY, since=NOW + one * timedelta(seconds=7, microseconds=one), **evidence),
        )
        for one in range(number)
    )


def test_five_thousand_leases_are_remembered(store: Store) -> None:
    """No item comes near what one may weigh, and fewer leave nothing of the others behind."""
    many = of_many(5000)
    store.learn(many)
    assert store.learned() == many
    store.learn(many[:501])
    assert store.learned() == many[:501]
    store.learn(many[:3])
    assert store.learned() == many[:3]


def test_the_metrics_of_eight_gpus_a_box_fit_as_well() -> None:
    """Their dimensions repeat one another: deflated they are a quarter of what an item may be."""
    part = tuple(
        replace(one, gpus={one.lease_id: Gpus(dimensions=_of_box(one.lease_id), launched_at=NOW)})
        for one in of_many(PER_ITEM)
    )
    packed = document(part)["doc_deflated"]
    assert isinstance(packed, bytes)
    assert len(packed) < 100_000


def _of_box(name: str) -> tuple[Dimensions, ...]:
    return tuple((("InstanceId", f"i-{name}"), *dimensions[1:]) for dimensions in GPUS)


def test_no_item_of_what_was_learned_comes_near_dynamodb_s_limit() -> None:
    """400 KB; also if nothing of it could be deflated."""
    part = of_many(PER_ITEM, reason="GPU is at 90 % and has been for as long as anybody can remember" * 4)
    assert len(to_text(part)) < 400 * 1024


def test_an_older_version_s_item_is_read_and_takes_the_place_of_all_newer_ones(
    dynamo_store: DynamoStore,
) -> None:
    """It was one item whatever its size, without a number of others."""
    dynamo_store.learn(of_many(1200))
    table = dynamo_store._table
    kept = table.get(EVIDENCE)
    assert kept
    old = {key: value for key, value in kept.items() if key not in {"pk", "sk", "shards"}}
    table.commit([Write(operation="Put", key=EVIDENCE, item=old)])
    assert dynamo_store.learned() == of_many(PER_ITEM)


def test_who_dies_while_it_is_written_leaves_the_newest_answer_of_each_lease(
    dynamo_store: DynamoStore,
) -> None:
    """The later items are new then and the first is old, with leases in both."""
    before = of_many(1200)
    dynamo_store.learn(before)
    first = dynamo_store._table.get(EVIDENCE)
    assert first
    later = NOW + timedelta(hours=1)
    after = of_many(1200, asked_at=later)[300:]
    dynamo_store.learn(after)
    dynamo_store._table.commit([Write(operation="Put", key=EVIDENCE, item=first)])
    told = {one.lease_id: one for one in dynamo_store.learned()}
    assert all(told[one.lease_id] == one for one in after[PER_ITEM:])
    assert all(told[one.lease_id] == one for one in before[:300])


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
