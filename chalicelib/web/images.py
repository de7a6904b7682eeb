"""Images: how those to launch from are answered, and what callers send to save a box or to remove an image."""

from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import Field, StrictBool
from typing_extensions import TypedDict

from chalicelib.domain.catalogue import OfferedImage
from chalicelib.domain.images import MINE
from chalicelib.domain.saving import Saving
from chalicelib.web.encode import JsonValue, plain
from chalicelib.web.models import Label, Region, Sent


class SaveBody(Sent):
    """POST /instances/{id}/image."""

    name: Label | None = Field(
        default=None,
        description="what mine:<name> calls it: letters, digits and . _ : / = + @ -, 128 at most; its project, lease "
        "or id and the time when absent",
    )
    reboot: StrictBool = Field(
        default=False,
        description="true: EC2 shuts it down for the image and boots it again; false: saved as after a power cut",
    )


class ImageRegionQuery(Sent):
    """DELETE /images/{id}."""

    region: Region | None = Field(default=None, description="such as us-east-1; the home region when absent")


class SavingAnswer(TypedDict):
    """An image on its way. `monthly_usd`: what its snapshots cost at most; `lease_id`: which lease holds the first
    month, null where it counts on no budget; `image`: what its owner's launches say once it is available."""

    id: str
    image: str
    name: str
    region: str
    instance_id: str
    owner: str
    state: str
    gib: int
    monthly_usd: Decimal
    lease_id: str | None
    remarks: list[str]


def saving(told: Saving) -> JsonValue:
    """As it is answered."""
    image = told.image
    answer = SavingAnswer(
        id=image.id,
        image=f"{MINE}{image.name}",
        name=image.name,
        region=image.region,
        instance_id=image.instance_id,
        owner=image.owner,
        state=image.state,
        gib=image.gib,
        monthly_usd=told.monthly_usd,
        lease_id=told.lease_id,
        remarks=list(told.remarks),
    )
    return plain(answer)


class ImageAnswer(TypedDict):
    """One image. `image` is what a launch says to get it; `owner`: EC2's alias of its owner, else the account's id."""

    image: str
    kind: Literal["deep-learning", "mine", "community"]
    id: str
    name: str
    region: str
    state: str
    owner: str
    is_verified: bool
    architecture: str
    gib: int
    created_at: datetime | None
    age_days: int | None
    ssh_user: str
    warning: str | None


def view(one: OfferedImage, now: datetime) -> JsonValue:
    """As it is answered; `gib`: of all its volumes."""
    image = one.of
    answer = ImageAnswer(
        image=one.image,
        kind=one.kind,
        id=image.id,
        name=image.name,
        region=image.region,
        state=image.state,
        owner=image.owner_alias or image.owner_id,
        is_verified=one.kind == "mine" or image.is_verified,
        architecture=image.architecture,
        gib=image.gib,
        created_at=image.created_at,
        age_days=(now - image.created_at).days if image.created_at else None,
        ssh_user=image.ssh_user,
        warning=one.warning,
    )
    return plain(answer)
