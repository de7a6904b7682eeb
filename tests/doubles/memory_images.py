"""The saved images of `MemoryEc2`: on their way for as long as a test says, failed where their box ends first."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from chalicelib.domain.images import ImageOrder, SavedImage
from chalicelib.domain.instance import GONE
from chalicelib.ports import Image, Outcome

if TYPE_CHECKING:
    from tests.doubles.memory_ec2 import MemoryEc2

ABSENT = Outcome(accepted=False, answer="InvalidInstanceID.NotFound", is_absent=True)


class MemoryImages:
    """The images of an account. `taking` is how long one is `pending`; `fails` makes those begun from now on fail."""

    def __init__(self, ec2: MemoryEc2) -> None:
        self._ec2 = ec2
        self.taking = timedelta(minutes=4)
        self.fails = False
        self.made: dict[str, SavedImage] = {}
        self.taken_in: dict[str, str] = {}
        """Image → the state its box was in."""

    def image(self, image_id: str) -> Image | None:
        """What a launch must know of an image: a saved one can be launched from once it is available."""
        saved = self.made.get(image_id)
        if saved is None or saved.state != "available":
            return self._ec2.images.get(image_id)
        return Image(id=saved.id, root_device="/dev/xvda", root_gib=saved.gib)

    def save(self, region: str, order: ImageOrder) -> Outcome:
        """One image a box: its name is taken."""
        box = self._ec2.boxes.get(order.instance_id)
        if box is None or box.region != region:
            return ABSENT
        if box.state not in {"running", "stopped"}:
            return Outcome(accepted=False, answer="IncorrectState")
        if order.is_live and self._is_taken(region, order):
            return Outcome(accepted=False, answer="InvalidAMIName.Duplicate")
        before = [
            one
            for one in self.made.values()
            if one.image_of == order.image_of and not one.has_failed and one.name == order.name
        ]
        if before:
            return Outcome(accepted=True, answer=before[0].id)
        image = SavedImage(
            id=f"ami-{len(self.made) + 1:017x}",
            region=region,
            image_of=order.image_of,
            owner=order.owner,
            name=order.name,
            state="failed" if self.fails else "pending",
            gib=sum(disk.gib for disk in box.disks) + sum(disk.gib for disk in box.kept_disks),
            created_at=self._ec2.clock.now(),
            reason="Client.InternalError" if self.fails else "",
        )
        self.made[image.id] = image
        self.taken_in[image.id] = box.state
        return Outcome(accepted=True, answer=image.id)

    def _is_taken(self, region: str, order: ImageOrder) -> bool:
        """Whether another box has the name: what people ask for is named by owner and name."""
        return any(
            (one.region, one.owner, one.name) == (region, order.owner, order.name)
            and one.is_live
            and not one.has_failed
            and one.image_of != order.image_of
            for one in self.made.values()
        )

    def settle(self) -> None:
        """What is copied is available; what lost its box before has failed."""
        now = self._ec2.clock.now()
        for image in list(self.made.values()):
            if image.state != "pending" or image.created_at is None:
                continue
            box = self._ec2.boxes[image.instance_id]
            ready_at = image.created_at + self.taking
            if box.state in GONE and (box.ended_at or now) < ready_at:
                self.made[image.id] = replace(image, state="failed", reason="Client.InstanceTerminated")
            elif now >= ready_at:
                self.made[image.id] = replace(image, state="available")

    def saved(
        self, region: str, *, of: Collection[str], owner: str | None, name: str | None
    ) -> tuple[SavedImage, ...]:
        """As DescribeImages shows them."""
        return tuple(
            image
            for image in self.made.values()
            if image.region == region
            and (not of or image.image_of in of)
            and owner in {None, image.owner}
            and name in {None, image.name}
        )

    def forget(self, region: str, image_id: str) -> Outcome:
        """It and its snapshots go."""
        image = self.made.get(image_id)
        if image is None or image.region != region:
            return Outcome(accepted=True, answer="InvalidAMIID.NotFound", is_absent=True)
        del self.made[image_id]
        return Outcome(accepted=True, answer="deregistered")
