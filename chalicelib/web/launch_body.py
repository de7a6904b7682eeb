"""POST /spot-requests: what a launch may say."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StrictBool, model_validator

from chalicelib.domain.policy import Length
from chalicelib.domain.transfers import MOST_NAME, PATH
from chalicelib.web.models import (
    LABEL,
    Hours,
    InstanceType,
    Label,
    Ports,
    Printable,
    Region,
    Sent,
    SomeUsd,
    SshFrom,
    schema,
)

MAX_USER_DATA = 16 * 1024
SyncPath = Annotated[str, Field(pattern=rf"^([A-Za-z0-9_-]{{1,32}}:)?{PATH}$", max_length=MOST_NAME)]
Folder = Annotated[str, Field(pattern=rf"^/{PATH}$", max_length=MOST_NAME)]
LETTERS = "letters, digits, blanks and . _ = + , @ ( ) ~ -"
RELATIVE = f"with neither .. nor a / at either end, of {LETTERS}"
ABSOLUTE = f"with a / at its start and none at its end, no .., of {LETTERS}"
"""What `SyncPath` and `Folder` take, for people."""


def _fits_user_data(text: str) -> str:
    size = len(text.encode())
    if size > MAX_USER_DATA:
        raise ValueError(f"has {size} bytes, EC2 takes {MAX_USER_DATA} at most")
    return text


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


class IdleBody(Sent):
    """A lease's own idle window."""

    after: Length = Field(description="an ISO 8601 duration such as PT30M")


class GpuBody(Sent):
    """The GPUs that a box needs."""

    count: int = Field(default=1, strict=True, ge=1, le=64, description="how many in a box, or more; 1 to 64")
    memory_gib: int | None = Field(
        default=None,
        strict=True,
        ge=1,
        le=4096,
        description="GiB of each GPU, or more, as its maker prints it: 16 of a T4, 24 of an A10G; not of all together",
    )
    name: str | None = Field(
        default=None,
        pattern=Printable,
        max_length=64,
        description="such as A10G, T4, L4, L40S, V100, A100, H100; any when absent",
    )
    manufacturer: str | None = Field(
        default=None, pattern=Printable, max_length=64, description="NVIDIA, AMD or Habana; any when absent"
    )


class SyncFromBody(Sent):
    """What a launch brings to its boxes."""

    path: SyncPath = Field(
        description="a folder of yours in the transfer bucket such as birds, one of a lease such as "
        f"leases/lease-1/output, or an rclone remote's such as drive:birds; {RELATIVE}"
    )
    folder: Folder = Field(default="/data", description=f"the folder on the box, such as /data; {ABSOLUTE}")


class SyncToBody(Sent):
    """What a launch takes away from its boxes before the end."""

    folder: Folder = Field(
        default="/output", description=f"the folder on the box, such as /output; {ABSOLUTE}"
    )
    path: SyncPath | None = Field(
        default=None,
        description="a folder of yours in the transfer bucket, or an rclone remote's such as drive:out; the lease's "
        f"own folder when absent; {RELATIVE}",
    )


class LaunchBody(Sent):
    """POST /spot-requests."""

    model_config = schema(
        anyOf=[
            {
                "required": ["instance_types"],
                "properties": {"instance_types": {"type": "array"}, "gpu": {"type": "null"}},
            },
            {
                "required": ["gpu"],
                "properties": {"gpu": {"type": "object"}, "instance_types": {"type": "null"}},
            },
        ]
    )

    instance_types: (
        Annotated[tuple[InstanceType, ...], Field(min_length=1, max_length=20), AfterValidator(_each_once)]
        | None
    ) = Field(
        default=None,
        description='a list of 1 to 20 types such as ["g4dn.xlarge"]; or leave it out and say gpu',
    )
    gpu: GpuBody | None = Field(
        default=None,
        description='in place of instance_types: {"count": 1, "memory_gib": 16}, and the cheapest types that have it '
        "are taken",
    )
    image: str = Field(
        pattern=rf"^(ami-[0-9a-z]{{1,32}}|deep-learning|mine:{LABEL.strip('^$')})$",
        description="the id of an AMI in that region, such as ami-0abcdef1234567890, deep-learning for AWS's current "
        "one, or mine:<name> for the newest that was saved under that name, while a box lived or by on_end: image",
    )
    request_type: Literal["one-time", "persistent", "maintain"] = Field(
        default="one-time",
        description="one-time, persistent (EC2 starts it again after an interruption), or maintain (a fleet starts "
        "another box for each that ends)",
    )
    region: Region | None = Field(default=None, description="such as us-east-1; the home region when absent")
    key_name: str | None = Field(
        default=None,
        pattern=Printable,
        max_length=255,
        description="the name of an EC2 key pair in that region",
    )
    subnet_id: str | None = Field(
        default=None,
        pattern=r"^subnet-[0-9a-z]{1,32}$",
        description="such as subnet-0abc; default subnets when absent",
    )
    ssh_from: SshFrom | None = Field(
        default=None,
        description="who gets in by ssh: me (the address that you call from), an address or a CIDR such as "
        "203.0.113.7/32; when absent its VPC's default group decides, which lets nobody in as a rule",
    )
    ports: Ports = Field(
        default=(), description="a list of further ports for ssh_from's address, such as [8888], 20 at most"
    )
    open_to_world: StrictBool = Field(
        default=False, description="true lets ssh_from be everybody, such as 0.0.0.0/0; people are told"
    )
    security_group_ids: Annotated[
        tuple[Annotated[str, Field(pattern=r"^sg-[0-9a-z]{1,32}$")], ...], AfterValidator(_each_once)
    ] = Field(
        default=(),
        max_length=15,
        description='a list of groups that are there, such as ["sg-0abc"], beside ssh_from\'s; 15 at most',
    )
    hours: Hours | None = Field(
        default=None,
        description="how long it may run, more than 0; the policy's lease.default_for when absent",
    )
    budget_usd: SomeUsd | None = Field(
        default=None, description='what it may cost at most, in dollars such as "12.50", more than 0'
    )
    max_price_usd_per_hour: SomeUsd | None = Field(
        default=None,
        description='the most to pay for an hour, such as "0.40"; the on-demand price when absent',
    )
    volume_gib: int | None = Field(
        default=None,
        strict=True,
        ge=1,
        le=65_536,
        description="GiB of its root volume; the image's when absent",
    )
    egress_gb: int = Field(
        default=50,
        strict=True,
        ge=0,
        le=1_000_000,
        description="GB of data transfer out that the hold covers",
    )
    target_capacity: int = Field(default=1, strict=True, ge=1, le=100, description="how many boxes, 1 to 100")
    project: Label | None = Field(
        default=None, description="letters, digits and . _ : / = + @ -, 128 at most"
    )
    on_end: Literal["terminate", "image"] = Field(
        default="terminate",
        description="terminate, or image: saved first, under its project's name, else its lease's id",
    )
    idle: IdleBody | None = Field(
        default=None,
        description='{"after": "PT30M"}: end it when idle that long; may only tighten the policy',
    )
    user_data: Annotated[str, AfterValidator(_fits_user_data)] | None = Field(
        default=None,
        description="a script for its first boot, plain text, 16 KiB at most",
        json_schema_extra={"maxLength": MAX_USER_DATA},
    )
    instance_profile: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_+=,.@/:-]+$",
        max_length=2048,
        description="the name or ARN of an instance profile",
    )
    sync_from: SyncFromBody | None = Field(
        default=None, description='{"path": "birds", "folder": "/data"}: fetched once the box is up'
    )
    sync_to: SyncToBody | None = Field(
        default=None, description='{"folder": "/output"}: pushed within teardown.margin before the end'
    )
    rclone: str | None = Field(
        default=None,
        pattern=r"^/curfew/rclone/[A-Za-z0-9_.-]{1,128}/[A-Za-z0-9_.-]{1,128}$",
        description="the SSM parameter with the rclone.conf of a remote: /curfew/rclone/, your name or shared, a name",
    )
    dry_run: StrictBool = Field(default=False, description="true answers the quote and launches nothing")

    @model_validator(mode="after")
    def _one_way_to_say_the_type(self) -> Self:
        if (self.instance_types is None) == (self.gpu is None):
            raise ValueError(
                'give one of instance_types, such as ["g4dn.xlarge"], and gpu, such as {"count": 1, "memory_gib": 16}: '
                "not both, and not neither"
            )
        return self
