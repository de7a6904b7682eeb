"""A timer at EventBridge Scheduler: one call at one moment, made by AWS whether Curfew runs or not."""

from dataclasses import dataclass
from datetime import datetime

EXPIRE = "expire"
"""The call that is Curfew's own function; every other one is AWS's (`ec2:terminateInstances`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """`call` with `input` (JSON) at `at`, made from `region`. Its name is always the same for the same end of a lease,
    so that making it twice is making it once."""

    name: str
    region: str
    at: datetime
    call: str
    input: str
