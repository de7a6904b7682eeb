"""GET /images: how an image to launch from is answered."""

from datetime import datetime
from typing import Literal

from typing_extensions import TypedDict

from chalicelib.domain.catalogue import OfferedImage
from chalicelib.web.encode import JsonValue, plain


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
