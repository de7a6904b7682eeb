"""Put open leases on the budgets they fall in but are not charged to yet.

A budget can be made while leases are open, and a crash right after that, or a launch at the same moment, can leave one
out: the sweep looks for it.
"""

from dataclasses import replace
from datetime import datetime

from chalicelib.domain.admission import charges_for
from chalicelib.domain.budget import BudgetBook, BudgetState
from chalicelib.domain.errors import Stale
from chalicelib.domain.lease import Lease, Status
from chalicelib.ports import Services


def uncharged(lease: Lease, book: BudgetBook) -> tuple[BudgetState, ...]:
    """The budgets that cover a lease and do not carry its hold."""
    charged = {charge.budget for charge in lease.charges}
    covering = book.covering(owner=lease.owner, project=lease.project)
    return tuple(state for state in covering if state.budget.name not in charged)


def charge_open_leases(services: Services, now: datetime) -> None:
    """Charge every open lease's hold where it is missing, also into overdraft: it is money that may really be spent."""
    book = services.store.budgets(now)
    for lease in services.store.open_leases():
        missing = uncharged(lease, book)
        if (
            not missing or lease.status is Status.REQUESTED
        ):  # its launcher is writing it; charged once it runs
            continue
        more = replace(lease, charges=(*lease.charges, *charges_for(lease.hold.total_usd, missing)))
        try:
            services.store.rehold(more, before=lease.charges, revision=book.revision, allow_overdraft=True)
        except Stale:
            continue
