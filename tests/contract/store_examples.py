"""Small leases, budgets and notices for the store's tests."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from chalicelib.domain.budget import Budget
from chalicelib.domain.lease import Charge, Hold, LaunchOrder, Lease, Origin, Receipt, RequestType, Status
from chalicelib.domain.notices import Kind, Notice
from chalicelib.gateways.dynamodb import DynamoStore
from chalicelib.ports import Store, SweepRecord
from tests.doubles.faulty_client import FaultyClient

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
MONTH = "2026-11"
MINUTE = timedelta(minutes=1)


def usd(amount: str) -> Decimal:
    """Dollars."""
    return Decimal(amount)


def budget(name: str = "account", limit: str = "100", **changes: Any) -> Budget:
    """A monthly budget for the account."""
    return replace(Budget(name=name, limit_usd=usd(limit)), **changes)


def charge(amount: str, *, name: str = "account", period: str = MONTH, generation: int = 0) -> Charge:
    """A hold's share on a budget."""
    return Charge(budget=name, period_key=period, amount_usd=usd(amount), generation=generation)


def lease(lease_id: str = "lease-1", *charges: Charge, at: datetime = NOW, **changes: Any) -> Lease:
    """A lease just requested."""
    made = Lease(
        id=lease_id,
        owner="ana",
        region="us-east-1",
        origin=Origin.LAUNCHED,
        request_type=RequestType.ONE_TIME,
        status=Status.REQUESTED,
        requested_at=at,
        expires_at=at + timedelta(hours=8),
        hold=Hold(compute_usd=sum((one.amount_usd for one in charges), Decimal(0))),
        charges=charges,
        order=LaunchOrder(
            instance_types=("g4dn.xlarge",),
            image="ami-1",
            region="us-east-1",
            lasts_for=timedelta(hours=8),
        ),
    )
    return replace(made, **changes)


def notice(notice_id: str = "told", *, at: datetime = NOW) -> Notice:
    """Something to tell."""
    return Notice(id=notice_id, kind=Kind.WARNED, at=at, title=f"About {notice_id}")


def receipt(of: Lease, *, at: datetime = NOW, status: str = "done") -> Receipt:
    """The proof of a lease's end."""
    return Receipt(
        id=f"r-{of.id}",
        lease_id=of.id,
        owner=of.owner,
        project=None,
        region=of.region,
        origin=of.origin,
        cause="expired",
        reason="its time is up",
        figures={"hours": "8"},
        instance_ids=(),
        spot_request_ids=(),
        launched_at=None,
        decided_at=at,
        ended_at=None,
        status=status,
        steps=(),
        cost_usd=usd("1.25"),
        hold_usd=of.hold.total_usd,
    )


def sweep(sweep_id: str = "sweep-1", *, at: datetime = NOW) -> SweepRecord:
    """What a sweep saw."""
    return SweepRecord(
        id=sweep_id,
        started_at=at,
        finished_at=at + MINUTE,
        trigger="schedule",
        is_complete=True,
        is_dry_run=False,
        regions={"us-east-1": "ok"},
        seen=1,
        leases=1,
        reported=({"id": "i-1", "reason": "managed by EKS"},),
    )


def left(store: Store, name: str = "account", at: datetime = NOW) -> Decimal:
    """What is left of a budget."""
    return next(state.left_usd for state in store.budgets(at).states if state.budget.name == name)


def revision(store: Store) -> int:
    """The budgets' revision."""
    return store.budgets(NOW).revision


def with_budget(
    store: Store, made: Budget | None = None, *, used: Mapping[str, Decimal] | None = None
) -> int:
    """Put a budget; the revision that launches are judged at."""
    store.put_budget(made or budget(), used=used, revision=revision(store))
    return revision(store)


def closing(of: Lease, final: str | None, *, at: datetime = NOW) -> Lease:
    """A lease about to be closed at a final cost."""
    return replace(of, closed_at=at, final_usd=None if final is None else usd(final))


def rival_of(store: DynamoStore, client: FaultyClient) -> DynamoStore:
    """A second writer on the same table, to whom no accidents happen."""
    return DynamoStore(lambda: client.client, store._table.name)
