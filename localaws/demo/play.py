"""The play: five boxes and a launch that is refused, over a few virtual hours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import boto3

from localaws.demo.stage import Stage
from localaws.demo.timeline import Timeline
from localaws.errors import LocalAwsError

IMAGE = "ami-0123456789abcdef0"
STEP_SECONDS = 300
POLICY = {
    "idle": {"after": "PT30M", "warn_before": "PT10M", "after_launch": "PT10M"},
    "unleased": {"for": "PT1H", "grace": "PT10M"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A box of the play: its first instance, its spot request, and the lease where Curfew launched it."""

    name: str
    does: str
    instance_id: str
    spot_request_id: str | None
    lease_id: str | None = None


@dataclass(slots=True)
class Cast:
    """Who played, for the checks and the closing table."""

    worker: Part
    sleeper: Part
    capped: Part
    stray: Part
    undead: Part
    refusal: tuple[int, Any]
    instances_at_refusal: tuple[int, int]
    slack: list[dict[str, Any]] = field(default_factory=list)
    receipts: dict[str, Any] = field(default_factory=dict)
    undead_relaunched: str | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """In the order of their entrance."""
        return self.worker, self.sleeper, self.capped, self.stray, self.undead


def play(stage: Stage) -> Cast:
    """Play it all; answers who was who."""
    line = Timeline(stage)
    _set_up(stage, line)
    worker = _launch(
        stage, line, "worker", "works all the time", gpu=85, instance_types=["g5.xlarge"], hours=4
    )
    sleeper = _launch(
        stage,
        line,
        "sleeper",
        "works, then idles",
        gpu=60,
        instance_types=["g4dn.xlarge"],
        request_type="persistent",
    )
    capped = _launch(
        stage, line, "capped", "works on a $1 limit", gpu=90, instance_types=["g5.2xlarge"], budget_usd="1.00"
    )
    refusal, counts = _refused(stage, line)
    stray = _behind_curfew(stage, line, "stray", "works, unleased")
    undead = _behind_curfew(stage, line, "undead", "killed by hand, comes back")
    cast = Cast(worker, sleeper, capped, stray, undead, refusal, counts)
    _run(stage, line, minutes=10)
    _kill_by_hand(stage, line, undead)
    _run(stage, line, minutes=15)
    stage.world("PUT", f"/instances/{sleeper.instance_id}", {"gpu": 0})
    line.say("people sleeper's training is done; nobody thinks of the box")
    _run(stage, line, minutes=155)
    cast.slack = stage.world("GET", "/slack")
    _, receipts = stage.curfew("GET", "/receipts")
    cast.receipts = {one: receipt for receipt in receipts["items"] for one in receipt["instance_ids"]}
    return cast


def _set_up(stage: Stage, line: Timeline) -> None:
    _, policy = stage.curfew("GET", "/policy")
    for section, values in POLICY.items():
        policy[section] |= values
    _expect(stage.curfew("PUT", "/policy", policy), 200)
    line.say("people PUT /policy: idle for 30 min ends a box, 10 min after a warning; strays get an hour")
    budget = {"limit_usd": "40", "period": "monthly", "scope": {"kind": "account"}}
    _expect(stage.curfew("PUT", "/budgets/account", budget), 200)
    line.say("people PUT /budgets/account: $40 a month")


def _launch(stage: Stage, line: Timeline, name: str, does: str, *, gpu: int, **order: Any) -> Part:
    body = {"image": IMAGE, "egress_gb": 0, **order}
    lease = _expect(stage.curfew("POST", "/spot-requests", body), 201)
    (instance_id,) = lease["instance_ids"]
    request_id = _request_of(stage, instance_id)
    stage.world("PUT", f"/instances/{instance_id}", {"gpu": gpu})
    line.call_it(name, instance_id, request_id)
    kind = order.get("request_type", "one-time")
    what = f"{kind} {order['instance_types'][0]}, costs ${lease['hold_usd']} at most"
    line.say(f"people POST /spot-requests: {name}, {what}")
    return Part(
        name=name, does=does, instance_id=instance_id, spot_request_id=request_id, lease_id=lease["id"]
    )


def _refused(stage: Stage, line: Timeline) -> tuple[tuple[int, Any], tuple[int, int]]:
    before = len(stage.truth()["instances"])
    body = {"image": IMAGE, "instance_types": ["p4d.24xlarge"], "hours": 8}
    status, problem = stage.curfew("POST", "/spot-requests", body)
    line.say(f"people POST /spot-requests: p4d.24xlarge for 8 h; answer {status}: {problem['detail']}")
    return (status, problem), (before, len(stage.truth()["instances"]))


def _behind_curfew(stage: Stage, line: Timeline, name: str, does: str) -> Part:
    row = stage.world("POST", "/instances", {"type": "p3.2xlarge", "market": "persistent", "gpu": 70})
    line.call_it(name, row["id"], row["spot_request_id"])
    line.say(f"people start {name}, a persistent p3.2xlarge, in the console, without Curfew")
    return Part(name=name, does=does, instance_id=row["id"], spot_request_id=row["spot_request_id"])


def _kill_by_hand(stage: Stage, line: Timeline, part: Part) -> None:
    """What people do: terminate the instance, and leave its persistent request armed."""
    ec2 = boto3.client(
        "ec2",
        region_name="us-east-1",
        endpoint_url=stage.aws,
        aws_access_key_id="demo",
        aws_secret_access_key="demo",  # noqa: S106 any will do
    )
    line.say(f"people terminate {part.name} by hand and do not cancel its request")
    ec2.terminate_instances(InstanceIds=[part.instance_id])


def _run(stage: Stage, line: Timeline, *, minutes: int) -> None:
    """Let time pass, every minute swept."""
    for _ in range(0, minutes * 60, STEP_SECONDS):
        stage.world("POST", "/clock", {"advance_seconds": STEP_SECONDS})
        line.look()


def _request_of(stage: Stage, instance_id: str) -> str | None:
    rows = [row for row in stage.truth()["instances"] if row["id"] == instance_id]
    return rows[0]["spot_request_id"] if rows else None


def _expect(answer: tuple[int, Any], status: int) -> Any:
    if answer[0] != status:
        raise LocalAwsError(f"Curfew answered {answer[0]} instead of {status}: {answer[1]}")
    return answer[1]
