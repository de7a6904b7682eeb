"""Saving a box as an image while it lives: what it is called, what it costs, and what is not in it."""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from chalicelib.domain.admission import capped, first_month_usd
from chalicelib.domain.images import SavedImage
from chalicelib.domain.instance import Instance
from chalicelib.domain.lease import Hold, Lease, OnEnd
from chalicelib.domain.money import ZERO, up_to_cent
from chalicelib.domain.rates import Rates
from chalicelib.domain.storage import MONTH

NOT_IN_IT = "instance store volumes, the scratch disks that some types have, are in no image: copy off what is on them"
AS_AFTER_A_POWER_CUT = (
    "the box runs on, and its disks are saved as after a power cut: what was not written yet is not in it, and file "
    "systems are repaired at the first boot. For more run sync before, stop what writes, or ask with reboot: true"
)
NOT_THERE_YET = (
    "the box has to live until GET /images has it as available, minutes later: EC2 may give up an image whose box ends "
    "first, and an end does not wait for it"
)
UNCOUNTED = "no lease counts it: of the budgets only those with services: all see what it costs, a day later"
REBOOTED = "EC2 shuts the box down and boots it again to save it: what ran on it has ended"


_UNSAYABLE = re.compile(r"^[^A-Za-z0-9]+|[^A-Za-z0-9._:/=+@-]")
"""What `mine:<name>` can't have: a found box's project is whatever somebody wrote into its tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """An image that is on its way; `lease_id`: that its first month is held under, None: it counts on no budget."""

    image: SavedImage
    lease_id: str | None
    monthly_usd: Decimal
    remarks: tuple[str, ...]


def default_name(lease: Lease | None, instance_id: str, now: datetime) -> str:
    """What an image is called where nobody says: what an end would call it, and when."""
    own = lease.project or (None if lease.is_adopted else lease.id) if lease else None
    sayable = _UNSAYABLE.sub("", own or instance_id)[:100] or instance_id
    return f"{sayable}-{now:%Y%m%d-%H%M}"


def month_usd(gib: int, rates: Rates) -> Decimal:
    """What an image's snapshots cost a month at most: all of its volumes full."""
    return up_to_cent(rates.snapshot_usd(gib, MONTH))


def live_usd(lease: Lease, rates: Rates) -> Decimal:
    """The first months of the images that were asked for while a lease's boxes lived."""
    live = [image for image in lease.images if image.is_live and not image.has_failed]
    return sum((month_usd(image.gib, rates) for image in live), ZERO)


def spare_usd(lease: Lease, rates: Rates) -> Decimal:
    """What it holds for snapshots beyond its images that are known and those of its end: months of images that are
    just being begun, or that nobody gave back."""
    order = lease.order
    is_saved = order.on_end is OnEnd.IMAGE if order else lease.teardown_margin is not None
    boxes = order.target_capacity if order else 1
    at_end = first_month_usd(lease.box_disks, rates) * boxes if is_saved else ZERO
    return lease.hold.snapshot_usd - live_usd(lease, rates) - at_end


def with_live(hold: Hold, lease: Lease, rates: Rates, *, cap_usd: Decimal | None = None) -> Hold:
    """A hold that was reckoned for its end alone, with the images that were asked for besides, under its cap."""
    whole = replace(hold, snapshot_usd=hold.snapshot_usd + live_usd(lease, rates))
    return whole if cap_usd is None else capped(whole, cap_usd)


def saving(image: SavedImage, box: Instance, *, lease_id: str | None, rates: Rates, reboots: bool) -> Saving:
    """An image of a box with what whoever asked for it has to know of it."""
    how = REBOOTED if reboots else AS_AFTER_A_POWER_CUT
    remarks = [NOT_IN_IT, NOT_THERE_YET] if box.state == "stopped" else [how, NOT_IN_IT, NOT_THERE_YET]
    if lease_id is None:
        remarks.append(UNCOUNTED)
    return Saving(
        image=image, lease_id=lease_id, monthly_usd=month_usd(image.gib, rates), remarks=tuple(remarks)
    )
