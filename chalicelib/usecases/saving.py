"""Save a box as an image while it lives, and remove what was saved.

EC2 has no token for it: the image is looked up before it is made, its name at EC2 is made of its owner and its own, and
what a lost answer has left is found by either. Its first month is held before EC2 is asked.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from chalicelib.domain.errors import CurfewError, NotFound, Refused, Stale, Unavailable
from chalicelib.domain.images import MINE, PENDING, UNLEASED, ImageOrder, SavedImage, newest
from chalicelib.domain.instance import Instance
from chalicelib.domain.lease import Lease, RequestType, Status
from chalicelib.domain.money import show
from chalicelib.domain.rates import Rates
from chalicelib.domain.saving import Saving, default_name, month_usd, saving, spare_usd
from chalicelib.ports import Outcome, Services
from chalicelib.usecases.extend import rehold
from chalicelib.usecases.gather import Facts, gather, price_book
from chalicelib.usecases.own import is_own
from chalicelib.usecases.rescue import gib_of

TRIES = 5
BEGIN_SECONDS = 8.0
"""What holding the money and EC2's answer need of the time that a caller waits."""
GOES_ON = "Nothing was saved, and the box goes on"


def save(
    services: Services, instance_id: str, *, name: str | None, reboots: bool, by: str, only: str | None = None
) -> Saving:
    """Begin the image of a box, or find the one that was begun; `only`: of that owner's boxes. Raises NotFound, Refused
    (`image-name-taken`, `image-refused`, `controller`, `lease-over`, `budget-too-small`), BudgetExceeded,
    Unavailable."""
    _enforced(services)
    now = services.clock.now()
    facts, box, lease = _found(services, instance_id, now, only)
    _is_savable(box, lease, reboots=reboots)
    order = _order(box, lease, name=name, reboots=reboots, by=by, now=now)
    known = services.compute.saved_images(box.region, owner=order.owner)
    begun = _begun_before(known, order, is_named=name is not None)
    rates = facts.prices.rates_in(box.region)
    gib = gib_of(lease, box.id) if lease else _gib_of_volumes(services, box)
    on = lease if lease and not lease.is_storage else None
    if begun is not None:
        begun = replace(begun, gib=max(begun.gib, gib))  # while it is on its way EC2 may not tell
        lease_id = _counted(services, on.id, begun, rates, is_just_begun=False) if on else None
        return saving(begun, box, lease_id=lease_id, rates=rates, reboots=reboots)
    if services.patience(BEGIN_SECONDS) < BEGIN_SECONDS:
        raise Unavailable(f"what an image needs to know first took too long to ask. {GOES_ON}; ask again")
    for old in (one for one in known if one.has_failed and one.image_of == order.image_of):
        services.compute.forget_image(box.region, old.id)  # it has no snapshots, and would have the name
    held = _with_month(services, on, gib) if on else None
    try:
        image = _made(services, order, box, gib, now)
    except Refused:
        if held:
            _give_back(services, held.id, gib)
        raise
    lease_id = _counted(services, held.id, image, rates, is_just_begun=True) if held else None
    return saving(image, box, lease_id=lease_id, rates=rates, reboots=reboots)


def forget(services: Services, image_id: str, *, region: str, only: str | None = None) -> None:
    """Deregister an image that Curfew has made, with its snapshots. Raises NotFound, Refused (`image-in-use`),
    Unavailable."""
    _enforced(services)
    saved = services.compute.saved_images(region)
    image = next((one for one in saved if one.id == image_id and only in {None, one.owner}), None)
    if image is None:
        raise NotFound(
            f"Curfew has saved no image {image_id!r} in {region}; GET /images lists them, and ?region= names another "
            "region. What others have made stays theirs"
        )
    if image.state == PENDING:
        raise Refused(
            f"{image_id} is still being made; nothing was removed. Ask again once GET /images calls it available",
            slug="image-in-use",
        )
    user = next((lease for lease in services.store.open_leases() if _uses(lease, image)), None)
    if user is not None:
        raise _needed(image_id, user, only)
    outcome = services.compute.forget_image(region, image_id)
    if not outcome.accepted:
        raise Unavailable(f"EC2 did not remove {image_id} ({outcome.answer}); it goes on billing, ask again")


def _needed(image_id: str, user: Lease, only: str | None) -> Refused:
    """The refusal to remove what a lease needs; another owner's has no name in it."""
    if not is_own(user, only):
        return Refused(
            f"{image_id} is what somebody else's box runs from; nothing was removed. Ask again another day",
            slug="image-in-use",
        )
    return Refused(
        f"{image_id} is what {user.id} runs from, or is saved as; nothing was removed. Ask again once it is over: "
        f"GET /leases/{user.id}",
        slug="image-in-use",
        lease=user.id,
    )


def _enforced(services: Services) -> None:
    if services.is_dry_run:
        raise Refused(
            "Curfew is in dry-run: no image was made or removed. Deploy with Mode=enforce, or do it in EC2's console",
            slug="dry-run",
        )


def _found(
    services: Services, instance_id: str, now: datetime, only: str | None
) -> tuple[Facts, Instance, Lease | None]:
    """The box, and the lease that it runs under. Raises NotFound, Unavailable."""
    region = next(
        (one.region for one in services.store.open_leases() if instance_id in one.instance_ids), None
    )
    facts = gather(services, now, region=region)
    box = next((one for one in facts.sight.instances if one.id == instance_id and not one.is_gone), None)
    lease = next((one for one in facts.leases if instance_id in one.instance_ids), None)
    is_theirs = only is None or (lease is not None and lease.owner == only)
    if box is not None and is_theirs:
        return facts, box, lease
    if box is None and not facts.is_complete:
        raise Unavailable(
            f"{instance_id} was not found, but not every region answered; nothing was saved, ask again"
        )
    raise NotFound(f"no box {instance_id!r} is in a region Curfew sweeps; GET /instances lists them")


def _is_savable(box: Instance, lease: Lease | None, *, reboots: bool) -> None:
    if lease is not None and lease.status is not Status.ACTIVE:
        raise Refused(
            f"{lease.id} is {lease.status}: its box may be gone before its image is there. {GOES_ON} to its end; "
            "on_end: image in a launch saves a box first",
            slug="lease-over",
            lease=lease.id,
        )
    if box.managed_by:
        raise Refused(
            f"{box.managed_by} manages {box.id}, and makes its boxes from an image of its own. {GOES_ON}",
            slug="controller",
        )
    if box.state not in {"running", "stopped"}:
        raise Refused(
            f"{box.id} is {box.state}: EC2 saves what runs or is stopped. {GOES_ON}", slug="image-refused"
        )
    is_replaced = box.group or box.spot_fleet_id or (lease and lease.request_type is RequestType.MAINTAIN)
    if reboots and (is_replaced or (box.fleet_id and (lease is None or lease.is_adopted))):
        raise Refused(
            f"what maintains {box.id} may take it for broken while it reboots. {GOES_ON}; ask without reboot",
            slug="controller",
        )


def _order(
    box: Instance, lease: Lease | None, *, name: str | None, reboots: bool, by: str, now: datetime
) -> ImageOrder:
    is_launched = lease is not None and not lease.is_adopted
    return ImageOrder(
        lease_id=lease.id if lease else UNLEASED,
        instance_id=box.id,
        owner=lease.owner if lease is not None and is_launched else by,
        name=name or default_name(lease, box.id, now),
        project=lease.project if lease else None,
        ssh_user=lease.ssh_user if lease else None,
        is_live=True,
        reboots=reboots and box.state == "running",
    )


def _begun_before(known: Sequence[SavedImage], order: ImageOrder, *, is_named: bool) -> SavedImage | None:
    """The image of the same wish that is on its way. Raises Refused where its name stands for another one."""
    on_its_way = [one for one in known if one.state == PENDING and one.image_of == order.image_of]
    if not is_named and on_its_way:
        return on_its_way[-1]
    same = [one for one in known if one.name == order.name and not one.has_failed]
    if not same:
        return None
    begun = next((one for one in on_its_way if one.name == order.name), None)
    if begun is None:
        raise _taken(order, newest(same) or same[-1])
    return begun


def _taken(order: ImageOrder, other: SavedImage | None) -> Refused:
    which = f"{other.id}, of {other.instance_id}, {other.state}" if other else "another image"
    return Refused(
        f"{order.owner} has an image called {order.name!r}: {which}. {GOES_ON}. Take another name, leave it out, or "
        f"remove that one: DELETE /images/{other.id if other else '{id}'}",
        slug="image-name-taken",
        **({"image_id": other.id} if other else {}),
    )


def _gib_of_volumes(services: Services, box: Instance) -> int:
    volumes = services.compute.volumes(box.region, [box.id]).get(box.id, ())
    return sum(one.gib for one in volumes)


def _counted(
    services: Services, lease_id: str, image: SavedImage, rates: Rates, *, is_just_begun: bool
) -> str | None:
    """The lease that counts an image, with its month held: not one that has begun to end meanwhile, which its end alone
    writes. What a process that died has held and not written down is written now. Of one that was just begun the month
    is held already: a PATCH in between has not known of it, so it is held again, and two calls of one wish have held it
    twice, so the second gives it back."""
    for _ in range(TRIES):
        lease = services.store.lease(lease_id)
        if lease is None or lease.status is not Status.ACTIVE:
            return None
        if any(one.id == image.id for one in lease.images):
            if is_just_begun:
                _give_back(services, lease_id, image.gib)
            return lease_id
        try:
            if spare_usd(lease, rates) < month_usd(image.gib, rates):
                lease = _with_month(services, lease, image.gib)
        except CurfewError:
            if not is_just_begun:
                raise
        try:
            services.store.save_lease(replace(lease, images=(*lease.images, image)))
        except Stale:
            continue
        except Unavailable:
            return None
        return lease_id
    return None


def _with_month(services: Services, lease: Lease, gib: int) -> Lease:
    """The lease with the month held, on its budgets too."""
    for _ in range(TRIES):
        now = services.clock.now()
        current = services.store.lease(lease.id)
        if current is None or current.status is not Status.ACTIVE:
            raise Refused(
                f"{lease.id} has begun to end. {GOES_ON} to its end", slug="lease-over", lease=lease.id
            )
        if current.moving_to is not None:
            raise Stale(f"the end of {lease.id} is being moved. {GOES_ON}; ask again in a minute")
        policy, _ = services.store.policy()
        prices = price_book(services, [current], (), now)
        month = month_usd(gib, prices.rates_in(current.region))
        hold = replace(current.hold, snapshot_usd=current.hold.snapshot_usd + month)
        cap_usd = current.budget_usd or (current.order.budget_usd if current.order else None)
        if cap_usd is not None and hold.total_usd > cap_usd:
            raise Refused(
                f"an image of {gib} GiB is up to {show(month)} a month, and {current.id} may cost {show(cap_usd)} in "
                f'all. {GOES_ON}. PATCH /leases/{current.id} with a budget_usd of "{hold.total_usd}" or more first',
                slug="budget-too-small",
                least_usd=str(hold.total_usd),
            )
        try:
            return rehold(services, current, replace(current, hold=hold), policy, prices=prices, now=now)
        except Stale:
            continue
    raise Stale(f"lease {lease.id} kept changing. {GOES_ON}; ask again")


def _made(services: Services, order: ImageOrder, box: Instance, gib: int, now: datetime) -> SavedImage:
    """The image that EC2 has begun. Raises Refused where it has not, as far as a look tells."""
    outcome = services.compute.save_image(box.region, order)
    image_id = outcome.answer if outcome.accepted else _begun_unheard(services, order, box, outcome)
    return SavedImage(
        id=image_id,
        region=box.region,
        image_of=order.image_of,
        owner=order.owner,
        name=order.name,
        state=PENDING,
        gib=gib,
        created_at=now,
    )


def _begun_unheard(services: Services, order: ImageOrder, box: Instance, outcome: Outcome) -> str:
    """The image that EC2 has begun although its answer does not say so. Raises Refused where there is none for sure,
    Unavailable where there may be one."""
    try:
        seen = services.compute.saved_images(box.region, owner=order.owner, name=order.name)
    except Unavailable:
        if outcome.may_have_happened:
            raise
        seen = ()
    lost = next((one for one in seen if one.image_of == order.image_of and not one.has_failed), None)
    if lost is not None:
        return lost.id
    if seen:
        raise _taken(order, newest(seen) or seen[-1])
    if outcome.may_have_happened:
        raise Unavailable(
            f"whether EC2 has begun an image of {box.id} is not known ({outcome.answer}), so what is held for it stays "
            "so until its lease is changed or ends; the box goes on. Ask again in a minute: one that was begun is found"
        )
    raise Refused(
        f"EC2 did not begin an image of {box.id}: {outcome.answer}. {GOES_ON}; ask again",
        slug="image-refused",
    )


def _give_back(services: Services, lease_id: str, gib: int) -> None:
    """What was held for an image that is not made; where that fails it stays held until the lease's end. What a PATCH
    has dropped is not dropped again, and one that is under way keeps its split of the hold."""
    for _ in range(TRIES):
        with suppress(CurfewError):
            now = services.clock.now()
            lease = services.store.lease(lease_id)
            if lease is None or lease.status is not Status.ACTIVE or lease.moving_to is not None:
                return
            policy, _ = services.store.policy()
            prices = price_book(services, [lease], (), now)
            rates = prices.rates_in(lease.region)
            month = month_usd(gib, rates)
            if spare_usd(lease, rates) < month:
                return
            hold = replace(lease.hold, snapshot_usd=lease.hold.snapshot_usd - month)
            rehold(services, lease, replace(lease, hold=hold), policy, prices=prices, now=now)
            return


def _uses(lease: Lease, image: SavedImage) -> bool:
    """Whether an open lease was launched from an image, which what maintains its boxes goes on to do, or whether its
    end waits for it."""
    made_from = {
        lease.made_of.image_id if lease.made_of else None,
        lease.order.image if lease.order else None,
    }
    of_its_name = f"{MINE}{image.name}" in made_from and lease.owner == image.owner
    is_saved_now = lease.status is Status.ENDING and any(one.id == image.id for one in lease.images)
    return image.id in made_from or (of_its_name and lease.made_of is None) or is_saved_now
