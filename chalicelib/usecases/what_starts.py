"""What a launch starts: its image and its types, looked up and held against each other before anything is held."""

from contextlib import suppress
from datetime import datetime

from chalicelib.domain import guest
from chalicelib.domain.accelerators import ARCHITECTURES, processors
from chalicelib.domain.catalogue import DEEP_LEARNING
from chalicelib.domain.errors import Refused, Unavailable
from chalicelib.domain.images import MINE
from chalicelib.domain.launch_refusals import too_small, wrong_architecture
from chalicelib.domain.lease import LaunchOrder
from chalicelib.domain.rescue import ends_itself
from chalicelib.ports import Image, Services
from chalicelib.usecases import gpus, images, keys


def settled(
    services: Services, order: LaunchOrder, *, owner: str, now: datetime
) -> tuple[LaunchOrder, Image]:
    """The order with its types and the image that it means. Raises Refused for what can't start, Unavailable."""
    order, image = _types_and_image(services, order, owner)
    keys.is_there(services, order)
    if image.unpriced:
        raise Refused(
            f"what image {order.image} costs is not known: {image.unpriced}. Its worst case can't be held, so nothing "
            "was launched; take another image, of plain Linux",
            slug="price-unknown",
            image=order.image,
            platform=image.platform,
        )
    _fits_its_processors(order, image)
    if order.volume_gib is not None and order.volume_gib < image.root_gib:
        raise too_small(order, least_gib=image.root_gib)
    if not guest.is_readable(order.user_data):
        raise Refused(
            "user_data begins as a MIME message and can't be read as one, or has over "
            f"{guest.MOST_PARTS} parts; nothing was launched. Let its first line be #!/bin/sh or #cloud-config, or "
            "write it with: cloud-init devel make-mime",
            slug="user-data-unreadable",
        )
    deadline = now + order.lasts_for if ends_itself(order) else None
    if guest.is_too_long(order.user_data, deadline):
        raise Refused(
            f"user_data and the part that ends the box at its time are over {guest.LIMIT_BYTES} bytes together, EC2's "
            "limit; nothing was launched. Leave more of it to a file that user_data fetches",
            slug="user-data-too-large",
        )
    return order, image


def _types_and_image(services: Services, order: LaunchOrder, owner: str) -> tuple[LaunchOrder, Image]:
    """`deep-learning` is chosen by the types; types that are chosen by their GPUs have to fit any other image."""
    if order.image == DEEP_LEARNING:
        order = gpus.with_types(services, order, architecture=None)
        return order, _image(services, order, owner)
    image = _image(services, order, owner)
    return gpus.with_types(services, order, architecture=image.architecture), image


def _image(services: Services, order: LaunchOrder, owner: str) -> Image:
    image_id = images.chosen(services, order, owner)
    image = services.compute.image(order.region, image_id)
    if image is not None:
        return image
    elsewhere = () if order.image.startswith(MINE) else _regions_with(services, image_id, order.region)
    where = f"There is one in {', '.join(elsewhere)}: launch there, or take the" if elsewhere else "Take the"
    raise Refused(
        f"image {order.image} is not in {order.region}, or not for this account; nothing was launched. AMI ids differ "
        f"by region. {where} same image's id of {order.region}: GET /images?region={order.region} lists what there is",
        slug="image-not-found",
        regions=list(elsewhere),
    )


def _regions_with(services: Services, image_id: str, region: str) -> tuple[str, ...]:
    with suppress(Unavailable):
        others = [one for one in services.regions or services.compute.regions() if one != region]
        return services.catalogue.regions_with(image_id, others)
    return ()


def _fits_its_processors(order: LaunchOrder, image: Image) -> None:
    """Raises Refused where one of the types is known to have other processors than the image is for."""
    if image.architecture not in ARCHITECTURES:
        return
    known = {name: own for name in order.instance_types if (own := processors(name))}
    others = {name: own for name, own in known.items() if own != image.architecture}
    if others:
        raise wrong_architecture(order.image, image.architecture, others)
