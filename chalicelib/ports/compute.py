"""EC2, and what it is asked and answers."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from chalicelib.domain.gpus import GpuTypes
from chalicelib.domain.guest_heartbeat import Beacon
from chalicelib.domain.images import ImageOrder, SavedImage
from chalicelib.domain.instance import RegionView
from chalicelib.domain.lease import Attempt, LaunchOrder, Refusal
from chalicelib.domain.reservations import Reservation
from chalicelib.domain.storage import GP3_IOPS, GP3_MIBPS, Address, Disk, Volume


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What a launch must know of an AMI: its own name for its root volume, the size of it and, where it is gp3, what is
    provisioned for it; its other volumes; and what it bills as: its platform, the operation on the bill, and the
    product codes of a marketplace. `ssh_user`: whom to log in as, by its name. `architecture`: the processors that it
    is for, None where that is not known."""

    id: str
    root_device: str
    root_gib: int
    root_iops: int = GP3_IOPS
    root_throughput: int = GP3_MIBPS
    other_disks: tuple[Disk, ...] = ()
    platform: str = "Linux/UNIX"
    usage_operation: str = "RunInstances"
    product_codes: tuple[str, ...] = ()
    ssh_user: str | None = None
    architecture: str | None = None

    @property
    def unpriced(self) -> str | None:
        """Why what it bills is not known: only plain Linux is, other systems and products add what no table has, and of
        a disk its size and the IOPS that are paid for."""
        if self.product_codes:
            return f"its platform is {self.platform} with the product code {', '.join(self.product_codes)}"
        if (self.platform, self.usage_operation) != ("Linux/UNIX", "RunInstances"):
            return f"its platform is {self.platform or 'unknown'}, billed as {self.usage_operation}"
        for disk in self.other_disks:
            if not disk.gib or (disk.type in {"io1", "io2"} and not disk.iops):
                return f"EC2 tells no {'IOPS' if disk.gib else 'size'} of its disk {disk.device}"
        return None

    def disks(self, volume_gib: int | None) -> tuple[Disk, ...]:
        """What a box of it gets, told in full: its root as gp3 of that size, or its own, and its other volumes."""
        root = Disk(
            device=self.root_device,
            gib=volume_gib or self.root_gib,
            type="gp3",
            iops=self.root_iops,
            throughput=self.root_throughput,
        )
        return (root, *(disk.in_full for disk in self.other_disks))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What AWS answered for one id. `accepted`: it will happen or has; `answer`: AWS's word (a state or error code).

    `is_absent`: AWS knows no such id. `is_dry_run`: the call was not made. `call`: what AWS was called for it,
    where that was more than its step's own call. `may_have_happened`: not accepted as far as anybody heard, but AWS did
    not refuse it either.
    """

    accepted: bool
    answer: str
    is_absent: bool = False
    is_dry_run: bool = False
    call: str = ""
    may_have_happened: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchAnswer:
    """What a launch attempt came to: `launched`, `refused` (AWS said no, nothing runs), `too-early` (nothing runs, and
    the same call may do in a second), or `unknown` (the answer was lost: it may run). `refusals`: where it was not
    launched, type by type and zone by zone, also beside what was."""

    outcome: str
    instance_ids: tuple[str, ...] = ()
    spot_request_ids: tuple[str, ...] = ()
    fleet_id: str | None = None
    code: str = ""
    detail: str = ""
    refusals: tuple[Refusal, ...] = ()


class Compute(Protocol):
    """EC2 in every region."""

    def regions(self) -> tuple[str, ...]:
        """The regions this account can use. Raises Unavailable."""

    def observe(
        self,
        regions: Collection[str],
        *,
        only: str | None = None,
        patience: float | None = None,
        fleets: Collection[tuple[str, str]] = (),
        whole: bool = False,
    ) -> tuple[RegionView, ...]:
        """Look at regions side by side; `only` narrows it to one instance and its request. Never raises: a region
        that did not answer, within `patience` seconds where they are given, is a view with status `denied` or
        `failed`.

        Fleets and groups are looked up where a box names one or may be a part of one; `fleets` (region, id) besides, or
        with `whole` all that live."""

    def image(self, region: str, image_id: str) -> Image | None:
        """An AMI, or None where the region has none of that id. Raises Unavailable."""

    def volumes(self, region: str, instance_ids: Collection[str]) -> Mapping[str, tuple[Volume, ...]]:
        """The volumes attached to each instance, none for one that EC2 does not know. Raises Unavailable."""

    def addresses(
        self, region: str, instance_ids: Collection[str], *, now: datetime
    ) -> Mapping[str, tuple[Address, ...]]:
        """The Elastic IPs of each instance, as they are `now`. Raises Unavailable."""

    def reservations(self, region: str) -> tuple[Reservation, ...]:
        """The active capacity reservations of a region. Raises Unavailable."""

    def accelerated(self, region: str, names: Collection[str]) -> Mapping[str, bool | None]:
        """Whether each instance type has accelerators; None for one that the region does not know, no entry for one it
        did not get to. Raises Unavailable where it said nothing at all."""

    def gpu_types(self, region: str) -> GpuTypes:
        """The types with GPUs that a region has on spot, as EC2 tells; else those of the dated table, with why. Never
        raises, and takes a few seconds at most."""

    def attempts(
        self,
        order: LaunchOrder,
        *,
        lease_id: str,
        owner: str,
        price_caps: Mapping[str, Decimal],
        image: Image,
        expires_at: datetime,
        valid_until: datetime,
        now: datetime,
        beacon: Beacon | None = None,
    ) -> Iterable[Attempt]:
        """The calls that may serve an order, best first, each with full parameters and a token of its own. `beacon`:
        what its boxes report by."""

    def launch(self, attempt: Attempt) -> LaunchAnswer:
        """Make one recorded call; the same attempt again gives the same answer and starts nothing new."""

    def find_launched(
        self, region: str, *, lease_id: str, tokens: Collection[str], maintains: bool = False
    ) -> LaunchAnswer:
        """What recorded attempts have started: by client token and, for fleets, by the lease tag on a fleet's own
        instances; with `maintains` also a fleet that has started none yet. `launched` or `refused` (nothing found).
        Raises Unavailable."""

    def fleet_problem(self, region: str, fleet_id: str, *, since: datetime) -> str | None:
        """What an EC2 Fleet told last of what keeps it from its target, in EC2's words; None where it told nothing
        since then. Raises Unavailable."""

    def console(self, region: str, instance_id: str) -> str:
        """What a box has written to its console, text of its own; empty where there is none. Raises Unavailable."""

    def cancel_spot_requests(self, region: str, ids: Collection[str]) -> Mapping[str, Outcome]:
        """Cancel each, bisecting so that no unknown id shields the others. Never raises."""

    def end_fleets(self, region: str, ids: Collection[str], *, and_boxes: bool) -> Mapping[str, Outcome]:
        """Delete each EC2 Fleet and cancel each Spot Fleet, with what they run or without. Never raises."""

    def shrink_fleet(self, region: str, fleet_id: str, *, total: int, on_demand: int | None) -> Outcome:
        """Set the target of a fleet of type maintain, and its on-demand part where it has one, and let the excess run
        on. Never raises."""

    def detach(self, region: str, group: str, ids: Collection[str]) -> Mapping[str, Outcome]:
        """Take each out of its Auto Scaling group, which wants one less then, bisecting. Never raises."""

    def resize_group(
        self, region: str, group: str, *, least: int, most: int | None = None, desired: int | None = None
    ) -> Outcome:
        """Set sizes of an Auto Scaling group; those that are None stay. Never raises."""

    def terminate(self, region: str, ids: Collection[str]) -> Mapping[str, Outcome]:
        """Terminate each, bisecting so that no unknown or protected id shields the others. Never raises."""

    def lift_termination_protection(self, region: str, instance_id: str) -> Outcome:
        """Switch DisableApiTermination off. Never raises."""

    def stop(self, region: str, ids: Collection[str]) -> Mapping[str, Outcome]:
        """Stop each, with bisection. Never raises."""

    def save_image(self, region: str, order: ImageOrder) -> Outcome:
        """Begin an image of a box, without a reboot; asked for again it is the same one. `answer`: its id, else EC2's
        error code. Never raises."""

    def saved_images(
        self, region: str, *, of: Collection[str] = (), owner: str | None = None, name: str | None = None
    ) -> tuple[SavedImage, ...]:
        """The images that Curfew has made: of boxes (`ImageOrder.image_of`), or an owner's under a name. Raises
        Unavailable."""

    def forget_image(self, region: str, image_id: str) -> Outcome:
        """Remove an image with its snapshots; absent is fine. Never raises."""

    def tag(self, region: str, ids: Collection[str], tags: Mapping[str, str]) -> None:
        """Tag instances. Raises Unavailable."""

    def delete_launch_template(self, region: str, lease_id: str) -> None:
        """Remove what a launch left behind; absent is fine. Raises Unavailable."""
