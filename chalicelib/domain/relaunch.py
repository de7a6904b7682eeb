"""The call that brings a box back once its lease is over: what its launch was asked for, of a found box what is known
of it; from the image that its end has saved, else from the one that it was made from.
"""

from collections.abc import Sequence
from typing import Any

from chalicelib.domain.images import AVAILABLE, MINE, SavedImage
from chalicelib.domain.lease import LaunchOrder, Lease, Relaunch, RequestType
from chalicelib.domain.money import exact, hours

CARRIED_ON_IMAGE = "volume_gib"
"""What a saved image has itself; a disk that has grown meanwhile would be larger than what was asked for at first."""


def relaunch(lease: Lease) -> Relaunch | None:
    """The call, with remarks on what it does not bring back; None where not even a type is known."""
    body, remarks = _ordered(lease.order) if lease.order else _found(lease)
    if not (body.get("instance_types") or body.get("gpu")):
        return None
    made_from = lease.made_of.image_id if lease.made_of else None
    images = _images(lease)
    if images:
        image = images[0]
        body = {key: value for key, value in body.items() if key != CARRIED_ON_IMAGE} | {"image": image.id}
        remarks += _of_saved(image, images)
    else:
        asked = body.get("image")
        body |= {"image": made_from or asked} if made_from or asked else {}
        remarks += _of_unsaved(asked, made_from)
    remarks += _of_failed(lease)
    return Relaunch(body=body, remarks=tuple(remarks))


def _images(lease: Lease) -> list[SavedImage]:
    """What its end has saved, else what somebody had saved before; what can be launched from first, newest first."""
    kept = [image for image in lease.images if not image.has_failed]
    own = [image for image in kept if not image.is_live] or kept
    newest_first = sorted(enumerate(own), key=lambda one: (one[1].state != AVAILABLE, -one[0]))
    return [image for _, image in newest_first]


def _ordered(order: LaunchOrder) -> tuple[dict[str, Any], list[str]]:
    """As it was asked for, with what a default has filled in and may fill in otherwise by now."""
    body: dict[str, Any] = {
        "instance_types": list(order.instance_types),
        "image": order.image,
        "region": order.region,
        "request_type": order.request_type.value,
        "hours": exact(hours(order.lasts_for)),
        **order.asked,
    }
    if "gpu" in order.asked:  # what is needed then is chosen among the types of then
        body = {key: value for key, value in body.items() if key != "instance_types"}
    remarks = []
    if order.user_data:
        remarks.append("user_data is not repeated, because it may hold secrets: send it again")
    if not order.asked:
        remarks.append(
            "what else was asked for was not kept: fields that are missing here take their defaults"
        )
    return body, remarks


def _found(lease: Lease) -> tuple[dict[str, Any], list[str]]:
    """What is known of a box that others have started."""
    made, is_asked_for = lease.made_of, lease.request_type is not RequestType.NONE
    types = [run.instance_type for run in lease.runs]
    types += [made.instance_type] if made and made.instance_type else []
    body: dict[str, Any] = {
        "instance_types": list(dict.fromkeys(types))[:1],
        "region": lease.region,
        "request_type": (lease.request_type if is_asked_for else RequestType.ONE_TIME).value,
    }
    body |= {"key_name": made.key_name} if made and made.key_name else {}
    body |= {"project": lease.project} if lease.project else {}
    volumes = [one.gib for one in lease.volumes if one.instance_id in lease.instance_ids]
    body |= {"volume_gib": volumes[0]} if len(volumes) == 1 else {}
    remarks = [
        "Curfew has not launched this box: its network, profile, user data, tags are not known; hours is the policy's"
    ]
    if not is_asked_for:
        remarks.append("it was not on spot, or its request is not known; this asks for spot")
    return body, remarks


def _of_saved(image: SavedImage, images: Sequence[SavedImage]) -> list[str]:
    when = f"at {image.created_at:%Y-%m-%d %H:%M} UTC" if image.created_at else "before its end"
    remarks = [
        f"image is what was saved {when}, while it ran: what came after that is not in it"
        if image.is_live
        else f"image is what was saved at its end, with all its disks; {MINE}{image.name} is the newest under that name"
    ]
    if image.state != AVAILABLE:
        remarks.append(f"the image was {image.state} when it was last seen: GET /images has its state")
    if len(images) > 1 and not image.is_live:
        others = ", ".join(one.id for one in images if one.id != image.id)
        remarks.append(f"{len(images)} boxes were saved; the others' images are {others}")
    return remarks


def _of_failed(lease: Lease) -> list[str]:
    """Whoever had it saved and then ended it has to know that it was not."""
    return [
        f"image {one.id} ({MINE}{one.name}) failed: {one.reason or 'its box was gone before it was ready'}"
        for one in lease.images
        if one.has_failed
    ]


def _of_unsaved(asked: str | None, made_from: str | None) -> list[str]:
    if not (asked or made_from):
        return ["which image it was made from is not known: add image"]
    remarks = ["no image of it was saved at its end: what its disks had is not on this one"]
    if asked and made_from and asked != made_from:
        remarks.append(f"image is the one that {asked} meant then")
    return remarks
