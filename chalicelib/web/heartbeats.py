"""POST /heartbeats: what a box sends, and what it is answered."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from chalicelib.domain.heartbeats import Minute, Report
from chalicelib.usecases.heartbeats import Told
from chalicelib.web.models import Sent

MOST_MINUTES = 300
Epoch = Annotated[
    int, Field(strict=True, ge=0, lt=2**33, description="seconds since 1970, by the box's clock")
]
Number = Annotated[int, Field(strict=True, ge=0, le=10**6)]


class MinuteBody(Sent):
    """One minute of a box."""

    at: Epoch
    gpu: Annotated[int, Field(strict=True, ge=0, le=100)] | None = Field(
        description="the highest use of any of its GPUs in percent, null where they did not say"
    )
    signs: str = Field(
        default="", pattern=r"^[psl]{0,3}$", description="p: a process began, s: somebody typed, l: load"
    )


class HeartbeatBody(Sent):
    """What a box tells; the header `Curfew-Signature` signs all of it."""

    lease: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="the lease's id")
    instance: str = Field(pattern=r"^i-[0-9a-z]{1,32}$", description="the instance's id")
    counter: int = Field(strict=True, ge=0, lt=2**53, description="higher than that of the heartbeat before")
    sent_at: Epoch
    processes: Number = Field(default=0, description="how many compute processes run on its GPUs")
    sessions: Number = Field(default=0, description="how many people are logged in")
    load: str = Field(default="", pattern=r"^[0-9.]{0,12}$", description="the load of the last minute")
    minutes: tuple[MinuteBody, ...] = Field(
        max_length=MOST_MINUTES,
        description="the minutes since the last heartbeat that was answered, 300 at most",
    )


def report_of(body: HeartbeatBody) -> Report:
    """The domain's word for it."""
    return Report(
        lease_id=body.lease,
        instance_id=body.instance,
        counter=body.counter,
        sent_at=_time(body.sent_at),
        processes=body.processes,
        sessions=body.sessions,
        load=body.load,
        minutes=tuple(Minute(at=_time(one.at), gpu=one.gpu, signs=one.signs) for one in body.minutes),
    )


def view(told: Told) -> dict[str, object]:
    """As the script on the box reads it: one level, times as ISO 8601, what is not so left out."""
    times = {"deadline": told.deadline, "each_minute_from": told.each_minute_from}
    return {
        "lease": told.lease.id,
        "status": told.lease.status,
        **{name: at for name, at in times.items() if at is not None},
        **({"push": "now"} if told.pushes_now else {}),
    }


def _time(epoch: int) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)
