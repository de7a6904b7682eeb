"""What Curfew looks at: accelerator instances, more or fewer by the policy's `scope`."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from chalicelib.domain.accelerators import is_accelerator
from chalicelib.domain.instance import Instance
from chalicelib.domain.policy import ScopePolicy


def in_scope(instance: Instance, scope: ScopePolicy) -> bool:
    """Whether the policy has Curfew look at an instance at all."""

    def matches(patterns: Iterable[str]) -> bool:
        return any(fnmatchcase(instance.type, pattern) for pattern in patterns)

    if scope.regions != "all" and instance.region not in scope.regions:
        return False
    is_one = is_accelerator(instance.type, told=instance.is_accelerated) or matches(scope.include_types)
    if not is_one or matches(scope.exclude_types):
        return False
    return not any(
        key in instance.tags and (value in {"", "*"} or instance.tags[key] == value)
        for key, value in scope.exclude_tags.items()
    )
