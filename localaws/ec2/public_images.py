"""The public images of each region: AWS's for deep learning, which SSM names, and two that others have made.

Names, owners and parameters are AWS's (DLAMI developer guide, "Release notes" and "Get the ID of a DLAMI"); ids differ
by region, as there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import Any

PARAMETERS = "/aws/service/deeplearning/ami"
AMAZON = "898082745236"
CANONICAL = "099720109477"
SOMEBODY = "314159265358"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicImage:
    """An image that everybody may launch; `parameter` is its place below `PARAMETERS`."""

    name: str
    architecture: str
    created: str
    gib: int
    parameter: str | None = None
    owner_id: str = AMAZON
    alias: str | None = "amazon"

    def id_in(self, region: str) -> str:
        """Its id, which no test takes for an absent one."""
        return f"ami-{hashlib.sha256(f'{region} {self.name}'.encode()).hexdigest()[:16]}0"

    def shown(self, region: str) -> dict[str, Any]:
        """As DescribeImages shows it."""
        ebs = {"VolumeSize": self.gib, "VolumeType": "gp3", "DeleteOnTermination": True, "Encrypted": False}
        return {
            "ImageId": self.id_in(region),
            "ImageLocation": f"{self.alias or self.owner_id}/{self.name}",
            **({"ImageOwnerAlias": self.alias} if self.alias else {}),
            "Name": self.name,
            "State": "available",
            "OwnerId": self.owner_id,
            "Public": True,
            "CreationDate": f"{self.created}T07:00:00.000Z",
            "Architecture": self.architecture,
            "PlatformDetails": "Linux/UNIX",
            "UsageOperation": "RunInstances",
            "ImageType": "machine",
            "Hypervisor": "xen",
            "VirtualizationType": "hvm",
            "RootDeviceType": "ebs",
            "RootDeviceName": "/dev/sda1",
            "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": ebs}],
        }


def _pytorch(version: str, ubuntu: str, created: str, *, arm: bool = False) -> PublicImage:
    made_for = "ARM64 AMI OSS Nvidia Driver GPU" if arm else "OSS Nvidia Driver AMI GPU"
    return PublicImage(
        name=f"Deep Learning {made_for} PyTorch {version} (Ubuntu {ubuntu}) {created.replace('-', '')}",
        architecture="arm64" if arm else "x86_64",
        created=created,
        gib=65,
        parameter=f"oss-nvidia-driver-gpu-pytorch-{version}-ubuntu-{ubuntu}",
    )


def _base(system: str, parameter: str, created: str, *, arm: bool = False) -> PublicImage:
    made_for = "ARM64 Base OSS Nvidia Driver GPU AMI" if arm else "Base OSS Nvidia Driver GPU AMI"
    return PublicImage(
        name=f"Deep Learning {made_for} ({system}) {created.replace('-', '')}",
        architecture="arm64" if arm else "x86_64",
        created=created,
        gib=75,
        parameter=f"base-oss-nvidia-driver-gpu-{parameter}",
    )


IMAGES = (
    _pytorch("2.7", "22.04", "2025-12-05"),
    _pytorch("2.8", "24.04", "2025-10-17"),
    _pytorch("2.9", "24.04", "2026-01-03"),
    _pytorch("2.10", "24.04", "2026-02-09"),
    _pytorch("2.7", "22.04", "2026-01-16", arm=True),
    _pytorch("2.10", "24.04", "2026-02-09", arm=True),
    _base("Amazon Linux 2023", "amazon-linux-2023", "2026-02-16"),
    _base("Ubuntu 22.04", "ubuntu-22.04", "2026-02-16"),
    _base("Ubuntu 24.04", "ubuntu-24.04", "2026-02-16"),
    _base("Amazon Linux 2023", "amazon-linux-2023", "2026-02-16", arm=True),
    _base("Ubuntu 24.04", "ubuntu-24.04", "2026-02-16", arm=True),
    PublicImage(
        name="ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260214",
        architecture="x86_64",
        created="2026-02-14",
        gib=8,
        owner_id=CANONICAL,
        alias="amazon",
    ),
    PublicImage(
        name="pytorch-stable-diffusion-ready 2026-01",
        architecture="x86_64",
        created="2026-01-30",
        gib=120,
        owner_id=SOMEBODY,
        alias=None,
    ),
)


@cache
def by_id(region: str) -> dict[str, PublicImage]:
    """A region's images."""
    return {image.id_in(region): image for image in IMAGES}


def parameters(region: str) -> dict[str, str]:
    """What SSM has: the whole name of each parameter and the AMI that it names."""
    return {
        f"{PARAMETERS}/{image.architecture}/{image.parameter}/latest/ami-id": image.id_in(region)
        for image in IMAGES
        if image.parameter
    }
