"""moto's Auto Scaling groups, whose boxes the world launches and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.autoscaling.models import FakeAutoScalingGroup

if TYPE_CHECKING:
    from localaws.world import World

_world: World | None = None
_moto_set_desired_capacity = FakeAutoScalingGroup.set_desired_capacity


def take_over(world: World) -> None:
    """Whatever changes a group's desired capacity inside moto, as creating one does, ends up in `groups`."""
    global _world  # noqa: PLW0603 moto makes its groups by itself
    _world = world
    FakeAutoScalingGroup.set_desired_capacity = _set_desired_capacity  # type: ignore[method-assign,assignment]


def let_go() -> None:
    """Leave moto as it was."""
    global _world  # noqa: PLW0603 moto makes its groups by itself
    _world = None
    FakeAutoScalingGroup.set_desired_capacity = _moto_set_desired_capacity  # type: ignore[method-assign]


def _set_desired_capacity(group: Any, new_capacity: int | None) -> None:
    assert _world is not None, "moto's groups were used outside `with World()`"
    group.desired_capacity = group.min_size if new_capacity is None else new_capacity
    _world.groups.reconcile(group)
    if group.name in group.autoscaling_backend.autoscaling_groups:
        group.autoscaling_backend.update_attached_elbs(group.name)
        group.autoscaling_backend.update_attached_target_groups(group.name)
