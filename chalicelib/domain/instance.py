"""What EC2 says of instances and spot requests, as seen at one moment.

Real answers lack fields: an instance without State is taken for one that runs and bills, because assuming the opposite
would hide it. `LaunchTime` is only the last start (EC2 guide, DescribeInstances).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from chalicelib.domain.fleets import Fleet, Group

GONE = frozenset({"shutting-down", "terminated"})
AT_REST = frozenset({"stopping", "stopped"})
BY_OWNER = "instance-stopped-by-user"
PREPAID = frozenset({"capacity-block", "interruptible-capacity-reservation"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One EC2 instance. `state` is AWS's word, or `unknown` where the answer had none."""

    id: str
    region: str
    type: str
    state: str = "unknown"
    zone: str | None = None
    lifecycle: str = "on-demand"
    launched_at: datetime | None = None
    ended_at: datetime | None = None
    spot_request_id: str | None = None
    fleet_id: str | None = None
    spot_fleet_id: str | None = None
    group: str | None = None
    managed_by: str | None = None
    client_token: str | None = None
    image_id: str | None = None
    key_name: str | None = None
    public_ip: str | None = None
    private_dns: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    was_interrupted: bool = False
    """EC2 took it back: that is why it does not run."""
    volumes: Mapping[str, bool] | None = None
    """Id → whether it outlives the box, of what is attached; None where the answer did not say."""
    is_accelerated: bool | None = None
    """What EC2 says of its type; None where nobody has asked, or where the table of families knows."""

    @property
    def is_gone(self) -> bool:
        """Terminated or on the way there: it no longer bills for compute."""
        return self.state in GONE

    @property
    def is_running(self) -> bool:
        """Bills for compute now, as far as anybody can tell."""
        return self.state not in GONE and self.state not in AT_REST

    @property
    def is_spot(self) -> bool:
        """Billed at the spot price."""
        return self.lifecycle == "spot"

    @property
    def is_prepaid(self) -> bool:
        """Paid for in advance: ending it saves nothing."""
        return self.lifecycle in PREPAID


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotRequest:
    """One spot instance request, with AWS's state and status code."""

    id: str
    region: str
    state: str
    status_code: str = ""
    type: str = "one-time"
    instance_id: str | None = None
    instance_type: str | None = None
    zone: str | None = None
    max_price: str | None = None
    created_at: datetime | None = None
    valid_until: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_armed(self) -> bool:
        """Can start an instance now or later: it must be cancelled before its instance is terminated."""
        return self.state in {"open", "active", "disabled"}

    @property
    def comes_back(self) -> bool:
        """AWS itself starts its box, or starts it again: not one that its owner stopped, which waits for its owner.

        One that an interruption stopped is `disabled` with a code of its own (EC2 guide, "Spot request status").
        """
        stopped_by_aws = self.status_code.startswith("instance-stopped-") and self.status_code != BY_OWNER
        waits = self.state in {"open", "active"} or (self.state == "disabled" and stopped_by_aws)
        return self.type == "persistent" and waits


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionView:
    """What one region answered: `ok`, `denied` (for ever, by policy) or `failed` (this time)."""

    region: str
    status: str = "ok"
    error: str | None = None
    instances: tuple[Instance, ...] = ()
    spot_requests: tuple[SpotRequest, ...] = ()
    pages: int = 0
    """How many pages its instances came in."""
    fleets: tuple[Fleet, ...] = ()
    """The fleets of both kinds that its instances name, or that were asked for; what EC2 did not tell is left out."""
    groups: tuple[Group, ...] = ()
    """The Auto Scaling groups that its instances belong to, in the same way."""
    is_partial: bool = False
    """The look was at one instance: others of its fleet or group are known by membership alone."""
    lacking: tuple[str, ...] = ()
    """What could not be asked about fleets and groups."""

    def fleet(self, fleet_id: str) -> Fleet | None:
        """One of its fleets; None where EC2 told nothing of it."""
        return next((one for one in self.fleets if one.id == fleet_id), None)

    def group(self, name: str) -> Group | None:
        """One of its groups; None where Auto Scaling told nothing of it."""
        return next((one for one in self.groups if one.name == name), None)


def doubted(views: Sequence[RegionView], expected: Collection[str]) -> tuple[RegionView, ...]:
    """The views, with denials that can't be for ever as failures: of a region that has answered before or has a lease
    (`expected`), and of all regions at once. Somebody took Curfew's own permission away, and boxes bill on unseen."""
    is_blind = all(view.status == "denied" for view in views)
    return tuple(
        replace(view, status="failed")
        if view.status == "denied" and (is_blind or view.region in expected)
        else view
        for view in views
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """What an event tells of an instance: that it was in `state` from a moment on. Late, twice or never."""

    instance_id: str
    state: str
    at: datetime


@dataclass(frozen=True)
class Sight:
    """Everything one look saw, over all regions; `news` is what events told besides. Without slots: what is worked out
    of it is kept beside it, because every lease of a sweep asks several times."""

    views: tuple[RegionView, ...]
    news: tuple[StateChange, ...] = ()

    @cached_property
    def seen_regions(self) -> frozenset[str]:
        """The regions that answered."""
        return frozenset(view.region for view in self.views if view.status == "ok")

    @property
    def is_complete(self) -> bool:
        """No region failed. A denied one is reported, but will never answer."""
        return all(view.status != "failed" for view in self.views)

    @cached_property
    def instances(self) -> tuple[Instance, ...]:
        """Every instance of every region that answered."""
        return tuple(instance for view in self.views for instance in view.instances)

    @cached_property
    def _places(self) -> Mapping[str, Sequence[int]]:
        """Where in `instances` those are that have an id as their own, their spot request's or their fleet's."""
        places: dict[str, list[int]] = {}
        for place, one in enumerate(self.instances):
            for name in (one.id, one.spot_request_id, one.fleet_id):
                if name is not None:
                    places.setdefault(name, []).append(place)
        return places

    def instances_by(self, ids: Iterable[str]) -> tuple[Instance, ...]:
        """The instances that have one of these as their own id, their spot request's or their fleet's, as ordered
        in `instances`."""
        places = {place for one in ids for place in self._places.get(one, ())}
        return tuple(self.instances[place] for place in sorted(places))

    @cached_property
    def spot_requests(self) -> tuple[SpotRequest, ...]:
        """Every spot request of every region that answered."""
        return tuple(request for view in self.views for request in view.spot_requests)

    def view(self, region: str) -> RegionView:
        """What one region answered; nothing at all where it was not looked at."""
        return next((v for v in self.views if v.region == region), RegionView(region=region, status="failed"))
