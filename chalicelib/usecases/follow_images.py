"""Follow images that were asked for while their boxes live: a lease shows what has become of them, and counts none that
has failed.

After everything that ends something and under a deadline; a lease that ends looks at its images itself.
"""

from dataclasses import replace
from datetime import timedelta

from chalicelib.domain.errors import Stale, Unavailable
from chalicelib.domain.images import PENDING, SavedImage
from chalicelib.domain.lease import Lease, Status
from chalicelib.ports import Services
from chalicelib.usecases.gather import Facts

PATIENCE_SECONDS = 4.0
NEEDED_SECONDS = 9.0
"""The last look that is begun may hang for 5 s more: with less left, the next sweep looks."""
FOLLOWED_FOR = timedelta(hours=12)
"""One that is neither there nor failed by then is left to its lease's end."""


def follow_images(services: Services, facts: Facts) -> str | None:
    """Note what has become of images on their way. Answers what is lacking."""
    if services.patience(NEEDED_SECONDS) < NEEDED_SECONDS:
        return None
    until = services.clock.elapsed() + PATIENCE_SECONDS
    for lease in facts.leases:
        waiting = [image for image in lease.images if _is_followed(image, facts)]
        if lease.status is not Status.ACTIVE or not waiting or services.clock.elapsed() >= until:
            continue
        try:
            of = [image.image_of for image in waiting]
            found = {one.id: one for one in services.compute.saved_images(lease.region, of=of)}
            _note(services, lease, found)
        except Unavailable as error:
            return f"DescribeImages {lease.region}: {error.detail}"
    return None


def _is_followed(image: SavedImage, facts: Facts) -> bool:
    is_young = image.created_at is not None and facts.now - image.created_at < FOLLOWED_FOR
    return image.is_live and image.state == PENDING and is_young


def _note(services: Services, lease: Lease, found: dict[str, SavedImage]) -> None:
    over = {one.id: one for one in found.values() if one.state != PENDING}
    if not any(image.id in over and image.state == PENDING for image in lease.images):
        return
    current = services.store.lease(lease.id)
    if current is None or current.status is not Status.ACTIVE:
        return
    images = tuple(_seen(image, over.get(image.id)) for image in current.images)
    try:
        services.store.save_lease(replace(current, images=images))
    except Stale:
        return  # somebody changed it meanwhile: the next sweep notes it


def _seen(known: SavedImage, seen: SavedImage | None) -> SavedImage:
    """As it is now; what it weighs stays what was held for, at most."""
    return known if seen is None else replace(known, state=seen.state, reason=seen.reason)
