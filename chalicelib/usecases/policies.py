"""Read and replace the policy."""

from chalicelib.domain.policy import Policy
from chalicelib.ports import Services


def current(services: Services) -> tuple[Policy, int]:
    """The policy in force and its version; the defaults, version 0, when nothing was put."""
    return services.store.policy()


def replace(services: Services, policy: Policy, *, if_version: int | None) -> int:
    """Put a complete policy; the next sweep judges by it. Raises Stale when another was put meanwhile."""
    return services.store.put_policy(policy, if_version=if_version)
