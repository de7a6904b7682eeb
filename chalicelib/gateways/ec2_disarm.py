"""Disarming fleets and groups, per id and without raising: what could not be done is an Outcome that says so."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from chalicelib.domain.fleets import is_spot_fleet
from chalicelib.gateways.aws import ACTING, ASKING, Aws, code_of, explain
from chalicelib.gateways.ec2_end import each, refused
from chalicelib.ports import Outcome

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_ec2 import EC2Client

FLEETS_A_CALL = 25
"""DeleteFleets takes 100 ids, but no more than 25 of instant fleets (EC2 API reference)."""
SPOT_FLEETS_A_CALL = 100
DETACHED_A_CALL = 20
ABSENT = frozenset({"fleetIdDoesNotExist", "fleetRequestIdDoesNotExist"})
OVER = frozenset({"fleetNotInDeletableState", "fleetRequestNotInCancellableState"})
"""It is deleted or cancelled already, or was never more than submitted."""
NOT_IN_GROUP = "is not part of Auto Scaling group"


def end_fleets(aws: Aws, region: str, ids: Collection[str], *, and_boxes: bool) -> Mapping[str, Outcome]:
    """DeleteFleets, and CancelSpotFleetRequests."""
    spot = [one for one in ids if is_spot_fleet(one)]
    ec2 = [one for one in ids if not is_spot_fleet(one)]
    delete = partial(_delete, aws, region, and_boxes=and_boxes)
    cancel = partial(_cancel, aws, region, and_boxes=and_boxes)
    return {
        **each(delete, ec2, at_once=FLEETS_A_CALL),
        **each(cancel, spot, at_once=SPOT_FLEETS_A_CALL),
    }


def _delete(aws: Aws, region: str, some: list[str], *, and_boxes: bool) -> Mapping[str, Outcome]:
    answer = aws.ec2(region, ACTING).delete_fleets(FleetIds=some, TerminateInstances=and_boxes)
    return _told(
        answer.get("SuccessfulFleetDeletions"),
        answer.get("UnsuccessfulFleetDeletions"),
        name="FleetId",
        state="CurrentFleetState",
    )


def _cancel(aws: Aws, region: str, some: list[str], *, and_boxes: bool) -> Mapping[str, Outcome]:
    answer = aws.ec2(region, ACTING).cancel_spot_fleet_requests(
        SpotFleetRequestIds=some, TerminateInstances=and_boxes
    )
    return _told(
        answer.get("SuccessfulFleetRequests"),
        answer.get("UnsuccessfulFleetRequests"),
        name="SpotFleetRequestId",
        state="CurrentSpotFleetRequestState",
    )


def _told(done: Any, failed: Any, *, name: str, state: str) -> dict[str, Outcome]:
    outcomes = {
        raw[name]: Outcome(accepted=True, answer=raw.get(state) or "accepted")
        for raw in done or []
        if raw.get(name)
    }
    for raw in failed or []:
        code = str((raw.get("Error") or {}).get("Code") or "Unknown")
        if raw.get(name):
            outcomes[raw[name]] = Outcome(accepted=code in OVER, answer=code, is_absent=code in ABSENT)
    return outcomes


def shrink_fleet(aws: Aws, region: str, fleet_id: str, *, total: int, on_demand: int | None) -> Outcome:
    """ModifyFleet or ModifySpotFleetRequest, both with the excess left running. The target is absolute: what is sent
    twice is set once."""
    ec2: EC2Client = aws.ec2(region, ACTING)
    part: Any = {} if on_demand is None else {"OnDemandTargetCapacity": on_demand}

    def modify(_: list[str]) -> Mapping[str, Outcome]:
        if is_spot_fleet(fleet_id):
            ec2.modify_spot_fleet_request(
                SpotFleetRequestId=fleet_id,
                TargetCapacity=total,
                ExcessCapacityTerminationPolicy="noTermination",
                **part,
            )
        else:
            ec2.modify_fleet(
                FleetId=fleet_id,
                ExcessCapacityTerminationPolicy="no-termination",
                TargetCapacitySpecification={
                    "TotalTargetCapacity": total,
                    "OnDemandTargetCapacity": on_demand or 0,
                    "SpotTargetCapacity": total - (on_demand or 0),
                },
            )
        return {fleet_id: Outcome(accepted=True, answer=f"target {total}")}

    return each(modify, [fleet_id], at_once=1)[fleet_id]


def detach(aws: Aws, region: str, group: str, ids: Collection[str]) -> Mapping[str, Outcome]:
    """DetachInstances with the desired capacity lowered. One try: after a lost answer the next look tells."""

    def call(some: list[str]) -> Mapping[str, Outcome]:
        _groups(aws, region, once=True).detach_instances(
            InstanceIds=some, AutoScalingGroupName=group, ShouldDecrementDesiredCapacity=True
        )
        return dict.fromkeys(some, Outcome(accepted=True, answer="detached"))

    return each(call, ids, at_once=DETACHED_A_CALL, refusal=_explained)


def resize_group(
    aws: Aws, region: str, group: str, *, least: int, most: int | None, desired: int | None
) -> Outcome:
    """UpdateAutoScalingGroup: what is not named stays."""
    sizes = {"MaxSize": most, "DesiredCapacity": desired}
    change: Any = {name: size for name, size in sizes.items() if size is not None}

    def call(_: list[str]) -> Mapping[str, Outcome]:
        _groups(aws, region).update_auto_scaling_group(AutoScalingGroupName=group, MinSize=least, **change)
        return {group: Outcome(accepted=True, answer="resized")}

    return each(call, [group], at_once=1, refusal=_explained)[group]


def _groups(aws: Aws, region: str, *, once: bool = False) -> AutoScalingClient:
    return cast("AutoScalingClient", aws.client("autoscaling", region, ASKING if once else ACTING))


def _explained(error: BaseException) -> Outcome:
    """Auto Scaling's code is `ValidationError` for almost anything: its message is what tells."""
    if code_of(error) != "ValidationError":
        return refused(error)
    return Outcome(
        accepted=False,
        answer=explain(error),
        is_absent=NOT_IN_GROUP in str(error) or "not found" in str(error),
    )
