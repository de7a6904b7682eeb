"""moto's EC2, with its instances handed over to the world that is running.

moto makes the instance, its network interfaces, volumes and tags; from then on `boxes` decides its state. Whatever
starts or ends an instance inside moto (an Auto Scaling group, CloudFormation) passes through here too.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")

from moto.core.base_backend import AccountSpecificBackend, BackendDict
from moto.ec2.exceptions import InvalidInstanceIdError
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.instances import Instance, InstanceState, Reservation
from moto.moto_api._internal import mock_random

from localaws.events.bus import ACCOUNT
from localaws.onmoto import dynamodb
from localaws.onmoto import groups as moto_groups
from localaws.onmoto.billed import BilledEC2Backend

if TYPE_CHECKING:
    from localaws.ec2.boxes import Boxes
    from localaws.world import World

_world: World | None = None


def take_over(world: World) -> None:
    """Start moto over, empty, with this world behind its EC2. One world at a time: moto's state is the process's."""
    global _world  # noqa: PLW0603 moto asks for its backends by module, not by object
    _empty()
    mock_random.seed(world.seed)
    _world = world
    AccountSpecificBackend._generate_regions = _regions  # type: ignore[method-assign,assignment]
    ec2_backends.backend = WorldEC2Backend
    dynamodb.take_over()
    moto_groups.take_over(world)
    TaggedEC2Resource.get_tags = _get_tags  # type: ignore[method-assign,assignment]


def let_go() -> None:
    """Leave moto empty and as it was."""
    global _world  # noqa: PLW0603 moto asks for its backends by module, not by object
    _empty()
    AccountSpecificBackend._generate_regions = _moto_regions  # type: ignore[method-assign]
    _world = None
    ec2_backends.backend = EC2Backend
    dynamodb.let_go()
    moto_groups.let_go()
    TaggedEC2Resource.get_tags = _moto_get_tags  # type: ignore[method-assign]


def _empty() -> None:
    ec2_backends.clear()  # moto furnishes each with VPCs anew before it lets go of it
    BackendDict.reset()


def ec2_backend(region: str) -> Any:
    """moto's EC2 of a region."""
    return ec2_backends[ACCOUNT][region]


class WorldEC2Backend(BilledEC2Backend):
    """moto's EC2Backend whose instances live and end by the world's rules."""

    __module__ = "moto.ec2.models"  # moto finds its URLs by the module name of the backend

    def run_instances(self, *args: Any, **kwargs: Any) -> Reservation:
        reservation = super().run_instances(*args, **kwargs)
        for instance in reservation.instances:
            _boxes().register(self.region_name, instance, reservation.id)
        return reservation

    def get_instance(self, instance_id: str) -> Instance:
        instance = self.get_instance_by_id(instance_id)
        if instance is None:
            raise InvalidInstanceIdError(instance_id)
        return instance

    def get_instance_by_id(self, instance_id: str) -> Instance | None:
        box = _boxes().find(instance_id, self.region_name)
        return box.moto if box else self._being_made(instance_id)

    def _being_made(self, instance_id: str) -> Instance | None:
        """moto looks an instance up while it is still making it, before it is a box."""
        newest = next(reversed(self.reservations.values()), None)
        return next((one for one in newest.instances if one.id == instance_id), None) if newest else None

    def get_multi_instances_by_id(self, instance_ids: list[str], filters: Any = None) -> list[Instance]:
        found = [self.get_instance(instance_id) for instance_id in instance_ids]
        return [instance for instance in found if instance.applies(filters)]

    def terminate_instances(self, instance_ids: list[str]) -> list[tuple[Instance, InstanceState]]:
        instances = self.get_multi_instances_by_id(instance_ids)
        before = [
            (instance, InstanceState(instance._state.name, instance._state.code)) for instance in instances
        ]
        for instance in instances:
            _boxes().end(_boxes().of(instance.id), by="service")
        return before

    def describe_spot_instance_requests(
        self, filters: Any = None, spot_instance_ids: Any = None
    ) -> list[Any]:
        """Only asked by CreateTags, whether the request exists; the world answers DescribeSpotInstanceRequests."""
        return []


def _boxes() -> Boxes:
    assert _world is not None, "moto's EC2 was called outside `with World()`"
    return _world.boxes


_moto_get_tags = TaggedEC2Resource.get_tags
_moto_regions = AccountSpecificBackend._generate_regions


@lru_cache
def _regions_of(service: str) -> tuple[str, ...]:
    session = AccountSpecificBackend.get_session()
    named = (session.get_available_regions(service, each) for each in session.get_available_partitions())
    return tuple(region for regions in named for region in regions)


def _regions(_: Any, service: str) -> list[str]:
    """moto's own asks botocore anew for each account it starts, and remembers the answer by who asked."""
    return list(_regions_of(service))


def _get_tags(resource: Any) -> list[dict[str, str]]:
    """moto's own goes through the tags of every resource for each one."""
    tags = resource.ec2_backend.tags.get(resource.id, {}) if resource.id else {}
    kind = resource.id.partition("-")[0] if resource.id else ""
    return [
        {"resource_id": resource.id, "resource_type": kind, "key": k, "value": v} for k, v in tags.items()
    ]
