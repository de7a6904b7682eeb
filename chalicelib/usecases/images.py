"""Which images there are to launch from, and which one an order means."""

from collections.abc import Sequence

from chalicelib.domain.accelerators import ARCHITECTURES
from chalicelib.domain.catalogue import (
    DEEP_LEARNING,
    FAMILIES,
    OfferedImage,
    architecture_for,
    current,
    offered,
)
from chalicelib.domain.errors import Refused
from chalicelib.domain.images import MINE, SavedImage, newest
from chalicelib.domain.lease import LaunchOrder
from chalicelib.ports import Services
from chalicelib.usecases.regions import explained


def images(services: Services, *, region: str, owner: str, name: str | None) -> tuple[OfferedImage, ...]:
    """AWS's deep-learning images, the owner's saved ones and, with `name`, everybody's public ones that have it in
    theirs; newest first. Raises Refused (`region-denied`), Unavailable."""
    with explained(services, region, asks_ssm=True):
        return _images(services, region, owner, name)


def _images(services: Services, region: str, owner: str, name: str | None) -> tuple[OfferedImage, ...]:
    catalogue = services.catalogue
    listed = {each: catalogue.deep_learning(region, each) for each in ARCHITECTURES}
    ids = {image_id for parameters in listed.values() for image_id in parameters.values()}
    own = [one for one in services.compute.saved_images(region, owner=owner) if not one.has_failed]
    saved = {image.id: _said(image, own) for image in own}
    described = {image.id: image for image in catalogue.described(region, [*ids, *saved])}
    return offered(
        current_ids={image_id for each in listed.values() if (image_id := current(each))},
        deep_learning=[described[one] for one in ids if one in described],
        mine=[(image, described[one]) for one, image in saved.items() if one in described],
        community=catalogue.named(region, name) if name else (),
    )


def _said(image: SavedImage, own: Sequence[SavedImage]) -> str:
    """What a launch says to get it: its name stands for the newest one under it."""
    last = newest([one for one in own if one.name == image.name])
    return f"{MINE}{image.name}" if image.name and last and last.id == image.id else image.id


def chosen(services: Services, order: LaunchOrder, owner: str) -> str:
    """The AMI of an order: `mine:<name>` is the newest that Curfew has saved for its owner under that name,
    `deep-learning` AWS's current one for its types. Raises Refused, Unavailable."""
    if order.image == DEEP_LEARNING:
        return _deep_learning(services, order)
    return _saved(services, order, owner) if order.image.startswith(MINE) else order.image


def _deep_learning(services: Services, order: LaunchOrder) -> str:
    architecture = architecture_for(order.instance_types)
    if architecture is None:
        raise Refused(
            f"no one of AWS's deep-learning images runs on all of {', '.join(order.instance_types)}; nothing was "
            f"launched. They are for {', '.join(FAMILIES)}, where g5g and p6e-gb200 (arm64) can't be mixed with the "
            "others (x86_64). Name an AMI for other types",
            slug="image-not-found",
        )
    image_id = current(services.catalogue.deep_learning(order.region, architecture))
    if image_id is None:
        raise Refused(
            f"AWS names no deep-learning image for {architecture} in {order.region}; nothing was launched. Name an AMI",
            slug="image-not-found",
        )
    return image_id


def _saved(services: Services, order: LaunchOrder, owner: str) -> str:
    name = order.image.removeprefix(MINE)
    saved = services.compute.saved_images(order.region, owner=owner, name=name)
    found = newest(saved)
    if found is None:
        waits = " yet: one is on its way" if any(image.state == "pending" for image in saved) else ""
        raise Refused(
            f"{owner} has no saved image {name!r} in {order.region}{waits}; nothing was launched. They are a "
            f"region's own: GET /images?region={order.region} lists those that there are. POST "
            "/instances/{id}/image saves a box; a launch with on_end: image saves one at its end, under its project's "
            "name, else its lease's id",
            slug="image-not-found",
        )
    return found.id
