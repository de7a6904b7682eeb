"""The world behind `MemoryCompute`: instances, spot requests and what AWS does with them."""

import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from chalicelib.domain.gpus import GpuType
from chalicelib.domain.instance import AT_REST, GONE, RegionView
from chalicelib.domain.lease import Attempt, Refusal
from chalicelib.domain.reservations import Reservation
from chalicelib.domain.storage import Address, Volume
from chalicelib.domain.tags import LEASE_TAG
from chalicelib.gateways.ec2_attempts import CREATE_FLEET
from chalicelib.ports import Clock, Image, LaunchAnswer, Outcome
from tests.doubles.memory_controllers import Controllers, FleetRecord
from tests.doubles.memory_images import MemoryImages
from tests.doubles.memory_records import (
    Box,
    Request,
    disks_asked_for,
    fulfil,
    launched,
    tags_of,
    to_instance,
    to_request,
    volumes_of,
)

SHOWN_AFTER_END = timedelta(hours=1)
INTERRUPTED = "instance-stopped-no-capacity"
AMI = Image(id="ami-0123456789abcdef0", root_device="/dev/xvda", root_gib=45)


class MemoryEc2:
    """The truth. Test set-up is by attributes: `no_capacity` has the (region, type) pairs EC2 has no room for."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.boxes: dict[str, Box] = {}
        self.requests: dict[str, Request] = {}
        self.images: dict[str, Image] = {AMI.id: AMI}
        self.albums = MemoryImages(self)
        self.templates: set[tuple[str, str]] = set()
        self.consoles: dict[str, str] = {}
        """What boxes have printed."""
        self.elastic_ips: dict[str, str] = {}
        """Elastic IP → the box that has it."""
        self.reservations: list[Reservation] = []
        self.types: dict[str, bool] = {}
        """Whether types that the table of families does not have are accelerated."""
        self.gpu_types: tuple[GpuType, ...] | None = None
        """What EC2 tells of the types with GPUs; None: what the dated table has."""
        self.no_capacity: set[tuple[str, str]] = set()
        self.relaunches_after = timedelta(0)
        self.shutting_down_for = timedelta(0)
        self.controllers = Controllers(self.boxes, self._another)
        self._numbers = itertools.count(1)

    def _new_id(self, kind: str) -> str:
        return f"{kind}-{next(self._numbers):017x}"

    def start(
        self,
        instance_type: str,
        region: str,
        *,
        market: str = "on-demand",
        zone: str | None = None,
        **facts: Any,
    ) -> Box:
        """Start a box; for spot markets with its request."""
        own = {key: facts.pop(key) for key in ("max_price", "valid_until", "request_tags") if key in facts}
        now = self.clock.now()
        box = Box(
            id=self._new_id("i"),
            region=region,
            type=instance_type,
            zone=zone or f"{region}a",
            launched_at=now,
        )
        for name, value in facts.items():
            setattr(box, name, value)
        self.boxes[box.id] = box
        if market != "on-demand":
            request = Request(
                id=self._new_id("sir"),
                region=region,
                type=market,
                instance_type=instance_type,
                zone=box.zone,
                opened_at=now,
                max_price=own.get("max_price"),
                valid_until=own.get("valid_until"),
                tags=dict(own.get("request_tags", {})),
            )
            self.requests[request.id] = request
            fulfil(request, box)
        self.controllers.take_in(box)
        return box

    def _another(self, ended: Box) -> Box:
        """What a fleet or group starts in place of one."""
        now = self.clock.now()
        box = replace(
            ended,
            id=self._new_id("i"),
            launched_at=now,
            state="running",
            ended_at=None,
            request_id=None,
            tags={},
        )
        self.boxes[box.id] = box
        return box

    def settle(self) -> None:
        """Let happen what AWS does by itself as time goes on."""
        now = self.clock.now()
        for box in self.boxes.values():
            if box.state == "shutting-down" and box.ended_at and now >= box.ended_at + self.shutting_down_for:
                box.state = "terminated"
            if box.state == "stopping":
                box.state = "stopped"
        self.albums.settle()
        for request in list(self.requests.values()):
            self._settle_request(request, now)
        self.controllers.settle()

    def _settle_request(self, request: Request, now: datetime) -> None:
        if (
            request.state in {"open", "active", "disabled"}
            and request.valid_until
            and now >= request.valid_until
        ):
            request.state, request.status_code = "closed", "schedule-expired"
        waits = request.state == "open" or request.status_code == INTERRUPTED
        if not waits or now < request.opened_at + self.relaunches_after:
            return
        if (request.region, request.instance_type) in self.no_capacity:
            return
        stopped = self.boxes.get(request.instance_id or "")
        if stopped is not None and stopped.state in AT_REST:
            stopped.state, stopped.launched_at, stopped.ended_at = "running", now, None
            stopped.was_interrupted = False
            fulfil(request, stopped)
        else:  # a relaunched box can come without any tag
            fulfil(request, self.start(request.instance_type, request.region, zone=request.zone))

    def interrupt(self, instance_id: str) -> None:
        """EC2 takes a spot box back: one-time ends, persistent is stopped until there is capacity."""
        box = self.boxes[instance_id]
        request = self.requests[box.request_id or ""]
        box.ended_at, box.was_interrupted = self.clock.now(), True
        if request.type == "one-time":
            box.state = "terminated"
            request.state, request.status_code = "closed", "instance-terminated-no-capacity"
        else:
            box.state = "stopped"
            request.state, request.status_code = "disabled", INTERRUPTED
            request.opened_at = self.clock.now()

    # -- launching ------------------------------------------------------------------------------------------------

    def launch(self, attempt: Attempt) -> LaunchAnswer:
        """What a CreateFleet or RunInstances call comes to, the first time its token is seen."""
        if attempt.operation == CREATE_FLEET:
            return self._launch_fleet(attempt)
        parameters = attempt.parameters
        spot = parameters["InstanceMarketOptions"]["SpotOptions"]
        return self._launch(
            attempt,
            [(parameters["InstanceType"], spot["MaxPrice"])],
            box=parameters,
            count=parameters["MinCount"],
            market=spot["SpotInstanceType"],
            valid_until=datetime.fromisoformat(spot["ValidUntil"]),
            request_tags=tags_of(parameters, "spot-instances-request"),
            client_token=attempt.token,
            tags=tags_of(parameters, "instance"),
        )

    def _launch_fleet(self, attempt: Attempt) -> LaunchAnswer:
        template, fleet = attempt.parameters["launch_template"], attempt.parameters["fleet"]
        self.templates.add((attempt.region, template["LaunchTemplateName"]))
        fleet_id = self._new_id("fleet")
        data, target = (
            template["LaunchTemplateData"],
            fleet["TargetCapacitySpecification"]["TotalTargetCapacity"],
        )

        def start(count: int) -> LaunchAnswer:
            return self._launch(
                attempt,
                [
                    (one["InstanceType"], one["MaxPrice"])
                    for one in fleet["LaunchTemplateConfigs"][0]["Overrides"]
                ],
                box=data,
                count=count,
                market="one-time",
                request_tags=tags_of(data, "spot-instances-request"),
                fleet_id=fleet_id,
                fleet_type=fleet["Type"],
                tags={
                    **tags_of(data, "instance"),
                    **tags_of(fleet, "instance"),
                    "aws:ec2:fleet-id": fleet_id,
                },
            )

        if fleet["Type"] == "instant":
            return start(target)
        self.controllers.fleets[fleet_id] = FleetRecord(
            fleet_id,
            attempt.region,
            fleet["Type"],
            target,
            token=attempt.token,
            tags=tags_of(fleet, "fleet"),
            starts=lambda: bool(start(1).instance_ids),
        )
        return LaunchAnswer(outcome="launched", fleet_id=fleet_id)

    def _launch(
        self,
        attempt: Attempt,
        offers: list[tuple[str, str]],
        *,
        box: Mapping[str, Any],
        count: int,
        tags: Mapping[str, str],
        **facts: Any,
    ) -> LaunchAnswer:
        image = self.albums.image(box["ImageId"])
        if image is None:
            return LaunchAnswer(
                outcome="refused", code="InvalidAMIID.NotFound", detail=f"no image {box['ImageId']}"
            )
        for instance_type, cap in offers:
            if (attempt.region, instance_type) not in self.no_capacity:
                started = [
                    self.start(
                        instance_type,
                        attempt.region,
                        max_price=cap,
                        disks=disks_asked_for(box),
                        tags=dict(tags),
                        **facts,
                    )
                    for _ in range(count)
                ]
                return launched(started)
        return LaunchAnswer(
            outcome="refused",
            code="InsufficientInstanceCapacity",
            detail=f"no room for {', '.join(name for name, _ in offers)}",
            refusals=tuple(
                Refusal(
                    instance_type=name,
                    zone=f"{attempt.region}a",
                    code="InsufficientInstanceCapacity",
                    detail="no room",
                )
                for name, _ in offers
            ),
        )

    def find(
        self, region: str, lease_id: str, tokens: Collection[str], *, maintains: bool = False
    ) -> LaunchAnswer:
        """By token; by lease tag where a fleet started it and it is not gone; and the fleets themselves."""
        found = [
            box
            for box in self._shown(region)
            if box.client_token in tokens
            or (box.tags.get(LEASE_TAG) == lease_id and box.fleet_id and box.state not in GONE)
        ]
        fleets = [
            one.id
            for one in self.controllers.fleets.values()
            if one.region == region and (one.token in tokens or one.tags.get(LEASE_TAG) == lease_id)
        ]
        if maintains and fleets:
            return replace(launched(found), fleet_id=fleets[0])
        if not found:
            return LaunchAnswer(outcome="refused", code="NotFound", detail="nothing was launched")
        return launched(found)

    # -- ending ---------------------------------------------------------------------------------------------------

    def cancel(self, region: str, request_id: str) -> Outcome:
        """Cancelling leaves a running instance alone and ends a stopped one."""
        request = self.requests.get(request_id)
        if request is None or request.region != region:
            return Outcome(accepted=False, answer="InvalidSpotInstanceRequestID.NotFound", is_absent=True)
        box = self.boxes.get(request.instance_id or "")
        if request.state in {"cancelled", "closed", "failed"}:
            return Outcome(accepted=True, answer=request.state)
        running = box is not None and box.state not in GONE | AT_REST
        request.state = "cancelled"
        request.status_code = (
            "request-canceled-and-instance-running" if running else "canceled-before-fulfillment"
        )
        if box is not None and box.state in AT_REST:
            self.end(box)
        return Outcome(accepted=True, answer="cancelled")

    def terminate(self, region: str, instance_id: str) -> Outcome:
        """A persistent request that is still armed then starts another."""
        box = self.boxes.get(instance_id)
        if box is None or box.region != region:
            return Outcome(accepted=False, answer="InvalidInstanceID.NotFound", is_absent=True)
        if box.is_protected:
            return Outcome(accepted=False, answer="OperationNotPermitted")
        if box.state not in GONE:
            self.end(box)
        return Outcome(accepted=True, answer=box.state)

    def end(self, box: Box) -> None:
        """It is on its way out; a persistent request then looks for another."""
        box.state, box.public_ip = "shutting-down", None
        box.ended_at = box.ended_at or self.clock.now()
        request = self.requests.get(box.request_id or "")
        if request is None or request.instance_id != box.id:
            return
        request.status_code = "instance-terminated-by-user"
        if request.state in {"active", "disabled"} and request.type == "persistent":
            request.state, request.opened_at, request.instance_id = "open", self.clock.now(), None
        elif request.state in {"active", "disabled"}:
            request.state = "closed"

    def stop(self, region: str, instance_id: str) -> Outcome:
        """A spot box can be stopped only while its persistent request is active; the request goes `disabled`."""
        box = self.boxes.get(instance_id)
        if box is None or box.region != region:
            return Outcome(accepted=False, answer="InvalidInstanceID.NotFound", is_absent=True)
        if box.state in GONE:
            return Outcome(accepted=False, answer="IncorrectInstanceState")
        request = self.requests.get(box.request_id or "")
        if request is not None and (
            request.type == "one-time" or request.state not in {"active", "disabled"}
        ):
            return Outcome(accepted=False, answer="UnsupportedOperation")
        if box.state not in AT_REST:
            box.state, box.ended_at, box.public_ip = "stopping", self.clock.now(), None
        if request is not None:
            request.state, request.status_code = "disabled", "instance-stopped-by-user"
        return Outcome(accepted=True, answer=box.state)

    def lift(self, region: str, instance_id: str) -> Outcome:
        """Switch the protection off."""
        box = self.boxes.get(instance_id)
        if box is None or box.region != region:
            return Outcome(accepted=False, answer="InvalidInstanceID.NotFound", is_absent=True)
        box.is_protected = False
        return Outcome(accepted=True, answer="lifted")

    # -- looking --------------------------------------------------------------------------------------------------

    def volumes(self, instance_id: str) -> tuple[Volume, ...]:
        """The disks attached to an instance: its root, and what was attached besides."""
        box = self.boxes.get(instance_id)
        return volumes_of(box) if box and box.state != "terminated" else ()

    def addresses_of(self, instance_id: str, now: datetime) -> tuple[Address, ...]:
        """Its Elastic IPs."""
        return tuple(
            Address(id=f"eipalloc-{ip}", ip=ip, instance_id=instance_id, since=now)
            for ip, owner in self.elastic_ips.items()
            if owner == instance_id
        )

    def view(
        self, region: str, only: str | None, *, fleets: Collection[str] = (), whole: bool = False
    ) -> RegionView:
        """What the Describe calls of a region show."""
        boxes = [box for box in self._shown(region) if only in {None, box.id}]
        requests = [one for one in self.requests.values() if one.region == region]
        if only is not None:
            named = {box.request_id for box in boxes}
            requests = [one for one in requests if one.instance_id == only or one.id in named]
        live = [box for box in boxes if box.state not in GONE]
        return RegionView(
            region=region,
            pages=1,
            instances=tuple(to_instance(box) for box in boxes),
            spot_requests=tuple(to_request(one) for one in requests),
            fleets=self.controllers.seen_fleets(region, live, set(fleets), whole=whole),
            groups=self.controllers.seen_groups(region, live),
            is_partial=only is not None,
        )

    def _shown(self, region: str) -> Iterator[Box]:
        now = self.clock.now()
        for box in self.boxes.values():
            is_forgotten = box.state == "terminated" and box.ended_at and now > box.ended_at + SHOWN_AFTER_END
            if box.region == region and not box.is_hidden and not is_forgotten:
                yield box
