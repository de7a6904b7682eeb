"""What CURFEW_MODE=dry-run runs on: it looks without touching. With `ScratchStore` besides, a sweep leaves no trace."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from chalicelib.domain.errors import Refused
from chalicelib.domain.gpus import GpuTypes
from chalicelib.domain.guest_heartbeat import Beacon
from chalicelib.domain.images import ImageOrder, SavedImage
from chalicelib.domain.instance import RegionView
from chalicelib.domain.lease import Attempt, LaunchOrder
from chalicelib.domain.reservations import Reservation
from chalicelib.domain.storage import Address, Volume
from chalicelib.ports import (
    Compute,
    Image,
    LaunchAnswer,
    Outcome,
)

NOT_DONE = Outcome(accepted=False, answer="dry-run", is_dry_run=True)


class DryRunCompute:
    """Any Compute, with its acts taken away."""

    def __init__(self, compute: Compute) -> None:
        self._compute = compute

    def regions(self) -> tuple[str, ...]:
        """As they are."""
        return self._compute.regions()

    def observe(
        self,
        regions: Collection[str],
        *,
        only: str | None = None,
        patience: float | None = None,
        fleets: Collection[tuple[str, str]] = (),
        whole: bool = False,
    ) -> tuple[RegionView, ...]:
        """As they are."""
        return self._compute.observe(regions, only=only, patience=patience, fleets=fleets, whole=whole)

    def image(self, region: str, image_id: str) -> Image | None:
        """As it is."""
        return self._compute.image(region, image_id)

    def volumes(self, region: str, instance_ids: Collection[str]) -> Mapping[str, tuple[Volume, ...]]:
        """As they are."""
        return self._compute.volumes(region, instance_ids)

    def addresses(
        self, region: str, instance_ids: Collection[str], *, now: datetime
    ) -> Mapping[str, tuple[Address, ...]]:
        """As they are."""
        return self._compute.addresses(region, instance_ids, now=now)

    def reservations(self, region: str) -> tuple[Reservation, ...]:
        """As they are."""
        return self._compute.reservations(region)

    def accelerated(self, region: str, names: Collection[str]) -> Mapping[str, bool | None]:
        """As they are."""
        return self._compute.accelerated(region, names)

    def gpu_types(self, region: str) -> GpuTypes:
        """As it is."""
        return self._compute.gpu_types(region)

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
        """What would be called."""
        return self._compute.attempts(
            order,
            lease_id=lease_id,
            owner=owner,
            price_caps=price_caps,
            image=image,
            expires_at=expires_at,
            valid_until=valid_until,
            now=now,
            beacon=beacon,
        )

    def launch(self, attempt: Attempt) -> LaunchAnswer:
        """Refused: a launch that starts nothing has no answer to give."""
        del attempt
        raise Refused(
            "Curfew is in dry-run (CURFEW_MODE): nothing was launched; set CURFEW_MODE=enforce, or ask with "
            "dry_run: true for the quote",
            slug="dry-run",
        )

    def find_launched(
        self, region: str, *, lease_id: str, tokens: Collection[str], maintains: bool = False
    ) -> LaunchAnswer:
        """As it is."""
        return self._compute.find_launched(region, lease_id=lease_id, tokens=tokens, maintains=maintains)

    def fleet_problem(self, region: str, fleet_id: str, *, since: datetime) -> str | None:
        """As it is."""
        return self._compute.fleet_problem(region, fleet_id, since=since)

    def console(self, region: str, instance_id: str) -> str:
        """As it is."""
        return self._compute.console(region, instance_id)

    def cancel_spot_requests(self, region: str, ids: Collection[str]) -> Mapping[str, Outcome]:
        """Not done."""
        del region
        return dict.fromkeys(ids, NOT_DONE)

    def end_fleets(self, region: str, ids: Collection[str], *, and_boxes: bool) -> Mapping[str, Outcome]:
        """Not done."""
        del region, and_boxes
        return dict.fromkeys(ids, NOT_DONE)

    def shrink_fleet(self, region: str, fleet_id: str, *, total: int, on_demand: int | None) -> Outcome:
        """Not done."""
        del region, fleet_id, total, on_demand
        return NOT_DONE

    def detach(self, region: str, group: str, ids: Collection[str]) -> Mapping[str, Outcome]:
        """Not done."""
        del region, group
        return dict.fromkeys(ids, NOT_DONE)

    def resize_group(
        self, region: str, group: str, *, least: int, most: int | None = None, desired: int | None = None
    ) -> Outcome:
        """Not done."""
        del region, group, least, most, desired
        return NOT_DONE

    def terminate(self, region: str, ids: Collection[str]) -> Mapping[str, Outcome]:
        """Not done."""
        del region
        return dict.fromkeys(ids, NOT_DONE)

    def lift_termination_protection(self, region: str, instance_id: str) -> Outcome:
        """Not done."""
        del region, instance_id
        return NOT_DONE

    def stop(self, region: str, ids: Collection[str]) -> Mapping[str, Outcome]:
        """Not done."""
        del region
        return dict.fromkeys(ids, NOT_DONE)

    def save_image(self, region: str, order: ImageOrder) -> Outcome:
        """Not done."""
        del region, order
        return NOT_DONE

    def saved_images(
        self, region: str, *, of: Collection[str] = (), owner: str | None = None, name: str | None = None
    ) -> tuple[SavedImage, ...]:
        """As they are."""
        return self._compute.saved_images(region, of=of, owner=owner, name=name)

    def forget_image(self, region: str, image_id: str) -> Outcome:
        """Not done."""
        del region, image_id
        return NOT_DONE

    def tag(self, region: str, ids: Collection[str], tags: Mapping[str, str]) -> None:
        """Not done."""

    def delete_launch_template(self, region: str, lease_id: str) -> None:
        """Not done."""
