"""Read and put the policy."""

from typing import TypeVar

from chalicelib.domain.errors import Stale
from chalicelib.domain.policy import Policy, Section
from chalicelib.domain.preconditions import IfMatch
from chalicelib.ports import Services

TRIES = 5
S = TypeVar("S", bound=Section)


def current(services: Services) -> tuple[Policy, int]:
    """The policy in force and its version; the defaults, version 0, when nothing was put."""
    return services.store.policy()


def put(services: Services, sent: Policy, *, over: IfMatch | None = None) -> tuple[Policy, int]:
    """Put a policy; the next sweep judges by it. What was not sent stays as it is in force: a forgotten `exclude_tags`
    must not end the boxes it excludes. Raises PreconditionFailed where another than `over` is in force, Stale."""
    for _ in range(TRIES):
        policy, version = services.store.policy()
        if over is not None:
            over.require(
                str(version), otherwise=f"the policy is at version {version} by now; nothing was changed"
            )
        complete = completed(sent, policy)
        try:
            return complete, services.store.put_policy(complete, if_version=version)
        except Stale:
            continue
    raise Stale("the policy kept changing; nothing was changed, ask again")


def completed(sent: S, in_force: S) -> S:
    """What was sent, and in place of what was left out what is in force."""
    given = {
        name: completed(value, getattr(in_force, name)) if isinstance(value, Section) else value
        for name, value in ((name, getattr(sent, name)) for name in sent.model_fields_set)
    }
    return in_force.model_copy(update=given)
