"""Ending things, per id: a call that one id spoils is split until that id stands alone.

TerminateInstances fails as a whole for one unknown id, and one protected id shields every id of its zone; splitting
covers both. Nothing here raises: what could not be done is an Outcome that says so, and the next sweep tries again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from time import monotonic
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.gateways.aws import ACTING, ASKING, AWS_ERRORS, THROTTLES, Aws, code_of, unavailable
from chalicelib.gateways.ec2_attempts import template_name
from chalicelib.ports import Outcome

INSTANCES_A_CALL = 1000
REQUESTS_A_CALL = 100
TAGGED_A_CALL = 500
PATIENCE_SECONDS = 15.0
"""Splitting goes on for so long; what is left then is not accepted, and tried again by the next sweep."""

Call = Callable[[list[str]], Mapping[str, Outcome]]


def cancel_spot_requests(aws: Aws, region: str, ids: Collection[str]) -> Mapping[str, Outcome]:
    """Cancel each request."""

    def call(some: list[str]) -> Mapping[str, Outcome]:
        answer = aws.ec2(region, ACTING).cancel_spot_instance_requests(SpotInstanceRequestIds=some)
        return {
            raw["SpotInstanceRequestId"]: Outcome(accepted=True, answer=raw.get("State") or "cancelled")
            for raw in answer.get("CancelledSpotInstanceRequests") or []
            if raw.get("SpotInstanceRequestId")
        }

    return each(call, ids, at_once=REQUESTS_A_CALL)


def terminate(aws: Aws, region: str, ids: Collection[str]) -> Mapping[str, Outcome]:
    """Terminate each instance."""

    def call(some: list[str]) -> Mapping[str, Outcome]:
        return _changed(aws.ec2(region, ACTING).terminate_instances(InstanceIds=some), "TerminatingInstances")

    return each(call, ids, at_once=INSTANCES_A_CALL)


def stop(aws: Aws, region: str, ids: Collection[str]) -> Mapping[str, Outcome]:
    """Stop each instance."""

    def call(some: list[str]) -> Mapping[str, Outcome]:
        return _changed(aws.ec2(region, ACTING).stop_instances(InstanceIds=some), "StoppingInstances")

    return each(call, ids, at_once=INSTANCES_A_CALL)


def lift_termination_protection(aws: Aws, region: str, instance_id: str) -> Outcome:
    """Switch DisableApiTermination off."""

    def call(some: list[str]) -> Mapping[str, Outcome]:
        ec2 = aws.ec2(region, ACTING)
        ec2.modify_instance_attribute(InstanceId=some[0], DisableApiTermination={"Value": False})
        return {some[0]: Outcome(accepted=True, answer="lifted")}

    return each(call, [instance_id], at_once=1)[instance_id]


def tag(aws: Aws, region: str, ids: Collection[str], tags: Mapping[str, str]) -> None:
    """Tag instances. Raises Unavailable."""
    pairs: Any = [{"Key": key, "Value": value} for key, value in tags.items()]
    try:
        for some in _parts(sorted(ids), TAGGED_A_CALL):
            aws.ec2(region, ASKING).create_tags(Resources=some, Tags=pairs)
    except AWS_ERRORS as error:
        raise unavailable(f"tagging {len(ids)} instances in {region}", error) from error


def delete_launch_template(aws: Aws, region: str, lease_id: str) -> None:
    """Remove the template of a lease's fleet; absent is fine. Raises Unavailable."""
    name = template_name(lease_id)
    try:
        aws.ec2(region, ACTING).delete_launch_template(LaunchTemplateName=name)
    except AWS_ERRORS as error:
        if "NotFound" not in code_of(error):
            raise unavailable(f"deleting launch template {name} in {region}", error) from error


def refused(error: BaseException) -> Outcome:
    """What an error says of a single id."""
    code = code_of(error)
    return Outcome(accepted=False, answer=code, is_absent=code.endswith(".NotFound"))


def each(
    call: Call,
    ids: Iterable[str],
    *,
    at_once: int,
    patience: float = PATIENCE_SECONDS,
    refusal: Callable[[BaseException], Outcome] = refused,
) -> dict[str, Outcome]:
    """Call for as many ids at once as allowed, splitting what fails until the poison id stands alone; `refusal` tells
    what its error means."""
    outcomes: dict[str, Outcome] = {}
    deadline = monotonic() + patience
    waiting = list(reversed(_parts(list(dict.fromkeys(ids)), at_once)))
    while waiting:
        some = waiting.pop()
        try:
            answers = call(some)
        except AWS_ERRORS as error:
            if len(some) > 1 and _may_be_one_id(error) and monotonic() < deadline:
                middle = len(some) // 2
                waiting += [some[middle:], some[:middle]]
                continue
            answers = dict.fromkeys(some, _of_each(refusal(error), some))
        outcomes |= {one: answers.get(one) or Outcome(accepted=False, answer="NotAnswered") for one in some}
    return outcomes


def _of_each(refused: Outcome, ids: list[str]) -> Outcome:
    """What an error says of each id of a call: which of several is absent it does not tell."""
    return refused if len(ids) == 1 else replace(refused, is_absent=False)


def _may_be_one_id(error: BaseException) -> bool:
    """AWS answered, and not because it was asked too often: a single id may be to blame, for some 5xx too."""
    return isinstance(error, ClientError) and code_of(error) not in THROTTLES


def _changed(answer: Mapping[str, Any], key: str) -> Mapping[str, Outcome]:
    return {
        raw["InstanceId"]: Outcome(
            accepted=True, answer=(raw.get("CurrentState") or {}).get("Name") or "accepted"
        )
        for raw in answer.get(key) or []
        if raw.get("InstanceId")
    }


def _parts(ids: list[str], size: int) -> list[list[str]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]
