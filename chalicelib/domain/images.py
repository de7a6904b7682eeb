"""Images of boxes that Curfew has saved, and which of them are kept.

An image is known by what Curfew wrote on it when it was made: of which lease and box, whose, and under which name. It
carries no lease tag and no deadline: a box that is launched from it is a new one.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from chalicelib.domain.tags import OWNER_TAG, PROJECT_TAG

OF_TAG = "curfew:image-of"
NAME_TAG = "curfew:image-name"
USER_TAG = "curfew:ssh-user"
"""Whom the box had to log in as: the name of its image is Curfew's own, and tells nothing of that."""
MINE = "mine:"
"""What begins the `image` of a launch that means a saved one: `mine:<name>`."""
KEPT = 3
"""Of so many ends under one name the images stay; older ones go once a newer one is available."""
FAILED = frozenset({"failed", "error", "invalid", "deregistered"})
"""States in which there is nothing to launch from (botocore, ImageState)."""
AVAILABLE, PENDING = "available", "pending"
UNLEASED = "unleased"
"""In the place of a lease's id where a box had none."""
_LIVE = "/live"
_UNNAMEABLE = re.compile(r"[^A-Za-z0-9()\[\] ./'@_-]")
"""What EC2 takes in no image's name (botocore, CreateImage)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOrder:
    """An image to be made of a box, with everything that is written on it."""

    lease_id: str
    instance_id: str
    owner: str
    name: str
    project: str | None = None
    ssh_user: str | None = None
    is_live: bool = False
    """Somebody asked for it while the box lives; what an end saves is another image."""
    reboots: bool = False

    @property
    def image_of(self) -> str:
        """What it is of, in one word: the same for every try."""
        return image_of(self.lease_id, self.instance_id, is_live=self.is_live)

    @property
    def aws_name(self) -> str:
        """Its name at EC2, unique there: a second call for the same box, or by somebody for the same name, is refused
        and finds the first one's image."""
        if not self.is_live:
            return f"curfew {self.lease_id} {self.instance_id}"
        own = sha256(f"{self.owner}\n{self.name}".encode()).hexdigest()[:12]  # neither can have a line break
        return f"curfew {_UNNAMEABLE.sub('_', self.name)[:80]} {own}"

    @property
    def tags(self) -> dict[str, str]:
        """What is written on the image and its snapshots."""
        tags = {OF_TAG: self.image_of, OWNER_TAG: self.owner, NAME_TAG: self.name}
        tags |= {PROJECT_TAG: self.project} if self.project else {}
        return {**tags, USER_TAG: self.ssh_user} if self.ssh_user else tags


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedImage:
    """An image that Curfew has made. `gib`: the size of all its volumes, which is the most that its snapshots bill."""

    id: str
    region: str
    image_of: str
    owner: str
    name: str
    state: str
    gib: int
    created_at: datetime | None = None
    reason: str = ""

    @property
    def lease_id(self) -> str:
        """The lease that its box ran under; `unleased` where there was none."""
        return self.image_of.partition("/")[0]

    @property
    def instance_id(self) -> str:
        """The box it is of."""
        return self.image_of.split("/")[1] if "/" in self.image_of else ""

    @property
    def is_live(self) -> bool:
        """Somebody asked for it while the box lived; it stays until somebody removes it."""
        return self.image_of.endswith(_LIVE)

    @property
    def has_failed(self) -> bool:
        """Nothing can be launched from it, now or later."""
        return self.state in FAILED


def image_of(lease_id: str, instance_id: str, *, is_live: bool = False) -> str:
    """What an image says that it is of."""
    return f"{lease_id}/{instance_id}{_LIVE if is_live else ''}"


def newest(images: Iterable[SavedImage]) -> SavedImage | None:
    """The last one that can be launched from."""
    ready = [image for image in images if image.state == AVAILABLE]
    return max(ready, key=_age, default=None)


def outdated(images: Collection[SavedImage], *, kept: int = KEPT) -> tuple[SavedImage, ...]:
    """The images of one owner and name that make room: those older than the last `kept` ends with one that is
    available, and those that failed. What is pending may yet be needed, and counts for nothing until it is there. What
    people have asked for stays theirs."""
    images = [image for image in images if not image.is_live]
    ends: dict[str, list[SavedImage]] = {}
    for image in sorted(images, key=_age, reverse=True):
        if image.state == AVAILABLE:
            ends.setdefault(image.lease_id, []).append(image)
    old = [image for lease_id in list(ends)[kept:] for image in ends[lease_id]]
    return (*old, *(image for image in images if image.has_failed))


def _age(image: SavedImage) -> tuple[bool, float, str]:
    at = image.created_at
    return (at is not None, at.timestamp() if at else 0.0, image.id)
