"""What somebody may see and touch who is let in to their own alone. `only` is that owner; None is everybody's."""

from collections.abc import Iterable
from dataclasses import replace

from chalicelib.domain.creator import owner_of
from chalicelib.domain.errors import NotFound
from chalicelib.domain.lease import Lease, Receipt
from chalicelib.ports import Services

ANOTHER = "an admin asked for it"


def is_own(lease: Lease | None, only: str | None) -> bool:
    """Whether what is under this lease, or under none, is there for them."""
    return only is None or (lease is not None and lease.owner == only)


def own_lease(services: Services, lease_id: str, only: str | None) -> Lease:
    """One lease. Raises NotFound, for another's as for none."""
    lease = services.store.lease(lease_id)
    if lease is None or not is_own(lease, only):
        raise NotFound(f"no lease has the id {lease_id!r}; nothing was done. GET /leases lists them")
    return lease


def refuse_others(services: Services, lease_id: str, only: str | None) -> None:
    """Raises NotFound where the lease is not theirs; asks nothing for somebody who may see all."""
    if only is not None:
        own_lease(services, lease_id, only)


def as_told(receipt: Receipt, only: str | None) -> Receipt:
    """A receipt as its owner reads it: whoever else asked for the end has no name there."""
    if only is None or receipt.cause != "requested" or receipt.reason == f"{only} asked for it":
        return receipt
    return replace(receipt, reason=ANOTHER)


def nobody_else_s(lease: Lease, only: str) -> Lease:
    """A lease as its owner reads it: who else has started its box, where a tag says that it is theirs, is not told."""
    started_by = lease.launched_by
    return lease if started_by is None or owner_of(started_by) == only else replace(lease, launched_by=None)


def own_projects(leases: Iterable[Lease], only: str) -> frozenset[str]:
    """The projects that an owner's open leases are in."""
    return frozenset(one.project for one in leases if one.owner == only and one.project)
