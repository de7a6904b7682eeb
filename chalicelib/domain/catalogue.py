"""Images that others have made: AWS's for deep learning, whoever else's, and what is to be known before one is taken.

AWS names its current deep-learning images in public SSM parameters, such as
`/aws/service/deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.9-ubuntu-24.04/latest/ami-id` (DLAMI developer
guide, "Get the ID of a DLAMI").
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from chalicelib.domain.accelerators import ARM64, X86_64, family

DEEP_LEARNING: Final = "deep-learning"
"""The `image` of a launch that means AWS's current one for its types."""
FAMILIES: Mapping[str, str] = {
    **dict.fromkeys(
        "g4dn g5 g6 g6e gr6 p4d p4de p5 p5e p5en p6-b200 p6-b300".split(),
        X86_64,
    ),
    **dict.fromkeys("g5g p6e-gb200".split(), ARM64),
}
"""The families that AWS's PyTorch images with NVIDIA's open driver are for, and their processors (the DLAMIs'
release notes, "supported_ec2_instances"). Older GPUs, parts of a GPU and other makers' chips need other images."""
VERIFIED = frozenset({"amazon", "aws-marketplace"})
"""The owners whom EC2 calls by an alias: it knows who they are (botocore, Image, `ImageOwnerAlias`)."""
_PYTORCH = re.compile(r"/oss-nvidia-driver-gpu-pytorch-(\d+)\.(\d+)-ubuntu-(\d+)\.(\d+)/latest/ami-id$")
_BASE = re.compile(r"/base-oss-nvidia-driver-gpu-ubuntu-(\d+)\.(\d+)/latest/ami-id$")
EC2_USER = "ec2-user"
"""Whom Amazon's own images have, and most others."""
_USERS = (("ubuntu", "ubuntu"), ("debian", "admin"), ("rocky", "rocky"), ("centos", "centos"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicImage:
    """An image as DescribeImages shows it. `gib`: of all its volumes."""

    id: str
    name: str
    region: str
    owner_id: str
    owner_alias: str | None
    architecture: str
    gib: int
    created_at: datetime | None
    state: str = "available"
    platform: str = "Linux/UNIX"
    has_product_code: bool = False
    saved_user: str | None = None
    """Whom the box had to log in as that Curfew has saved: its name is Curfew's own."""

    @property
    def is_verified(self) -> bool:
        """EC2 itself says who made it."""
        return self.owner_alias in VERIFIED

    @property
    def ssh_user(self) -> str:
        """Whom to log in as, as far as it is known."""
        return self.saved_user or ssh_user(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedImage:
    """An image to choose from: `image` is what a launch says to get it, `kind` is `deep-learning`, `mine` or
    `community`. `warning`: what speaks against taking it."""

    image: str
    kind: Literal["deep-learning", "mine", "community"]
    of: PublicImage
    warning: str | None = None


def ssh_user(image_name: str) -> str:
    """Whom an image of that name has to log in as, as AWS and the distributions have it; `ec2-user` where it tells
    nothing."""
    name = image_name.lower()
    return next((user for word, user in _USERS if word in name), EC2_USER)


def architecture_for(instance_types: Collection[str]) -> str | None:
    """What AWS's deep-learning images must be made for to run on all of these; None where no one image does."""
    needed = {FAMILIES.get(family(name)) for name in instance_types}
    return needed.pop() if len(needed) == 1 else None


def current(parameters: Mapping[str, str]) -> str | None:
    """The image, of those that one architecture's parameters name, that `deep-learning` means: the one with the newest
    PyTorch on the newest Ubuntu, else the newest that has the driver and CUDA alone."""
    for pattern in (_PYTORCH, _BASE):
        found = {
            tuple(int(part) for part in match.groups()): image_id
            for name, image_id in parameters.items()
            if (match := pattern.search(name))
        }
        if found:
            return found[max(found)]
    return None


def offered(
    *,
    current_ids: Collection[str],
    deep_learning: Iterable[PublicImage],
    mine: Iterable[tuple[str, PublicImage]] = (),
    community: Iterable[PublicImage] = (),
) -> tuple[OfferedImage, ...]:
    """Each image once with what a launch says to get it, newest first; `mine` has what each was saved under."""
    found = {
        one.id: OfferedImage(
            image=DEEP_LEARNING if one.id in current_ids else one.id,
            kind=DEEP_LEARNING,
            of=one,
            warning=warning(one),
        )
        for one in deep_learning
    }
    for image, one in mine:
        found[one.id] = OfferedImage(image=image, kind="mine", of=one)
    for one in community:
        found.setdefault(one.id, OfferedImage(image=one.id, kind="community", of=one, warning=warning(one)))
    return tuple(sorted(found.values(), key=_age, reverse=True))


def warning(image: PublicImage) -> str | None:
    """What whoever takes somebody else's image should know first."""
    if image.platform != "Linux/UNIX" or image.has_product_code:
        return (
            "its software costs something of its own, which is in no price list that Curfew reads: a launch of it is "
            "refused"
        )
    if not image.is_verified:
        return (
            f"nobody has verified its owner, account {image.owner_id}: what it runs as root from its first boot is "
            "theirs to choose. Take it only if you know whose account that is"
        )
    return None


def _age(one: OfferedImage) -> tuple[float, str]:
    return (one.of.created_at.timestamp() if one.of.created_at else 0.0, one.of.id)
