"""How the domain's records look to callers: one function a record, keys as the documents name them."""

import re
import shlex
from collections.abc import Sequence
from datetime import datetime

from chalicelib.domain.budget import Budget
from chalicelib.domain.case import Finding, Verdict
from chalicelib.domain.catalogue import EC2_USER
from chalicelib.domain.errors import CurfewError
from chalicelib.domain.evidence import Evidence
from chalicelib.domain.fleets import Fleet
from chalicelib.domain.instance import Instance, SpotRequest
from chalicelib.domain.launch_refusals import what_was_tried
from chalicelib.domain.lease import Charge, Hold, Lease, OnEnd, Receipt, Status
from chalicelib.domain.money import ZERO
from chalicelib.domain.periods import cost_in
from chalicelib.domain.policy import Policy
from chalicelib.domain.rescue import on_end_of
from chalicelib.ports import SweepRecord
from chalicelib.usecases.budgets import BudgetReport
from chalicelib.usecases.health import Health
from chalicelib.usecases.launch import Quote
from chalicelib.usecases.report import InstanceReport, LeaseReport, SpotRequestReport
from chalicelib.usecases.tagging import expiry_on
from chalicelib.web.encode import JsonValue, moment, number, plain
from chalicelib.web.problems import problem_of
from chalicelib.web.security_groups import network

_LOGIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
"""Whom to log in as: a saved image's tag says it, which anybody with EC2's rights may write, and people paste it."""


def tag(of: str) -> dict[str, str]:
    """The header with an entity tag: a strong one, quoted."""
    return {"ETag": f'"{of}"'}


def lease(report: LeaseReport) -> JsonValue:
    """The promise, its meter, its verdict and why."""
    told, cost = report.lease, report.cost
    accrued = told.final_usd if told.final_usd is not None else cost.accrued_usd
    return plain(
        {
            "id": told.id,
            "status": told.status,
            "owner": told.owner,
            "project": told.project,
            "origin": told.origin,
            "is_storage": told.is_storage,
            "launched_by": told.launched_by,
            "request_type": told.request_type,
            "instance_types": told.order.instance_types if told.order else (),
            "tried": what_was_tried(told.attempts),
            "region": told.region,
            "spot_request_ids": told.spot_request_ids,
            "fleet_id": told.fleet_id,
            "fleet_problem": report.fleet_problem,
            "instance_ids": told.instance_ids,
            "requested_at": told.requested_at,
            "launched_at": told.launched_at,
            "expires_at": told.expires_at,
            "snoozed_until": told.snoozed_until,
            "ran_before_for": told.ran_before_for if told.is_adopted else None,
            "closed_at": told.closed_at,
            "on_end": on_end(report),
            "guest_deadline": guest_deadline(told, report.instances),
            "network": network(told),
            "timers": timers(told),
            "hold_usd": told.hold.total_usd,
            "hold": hold(told.hold),
            "accrued_usd": accrued,
            "hourly_usd": cost.hourly_usd,
            "compute_usd": cost.compute_usd,
            "storage_usd": cost.storage_usd,
            "public_ipv4_usd": cost.public_ipv4_usd,
            "egress_usd": cost.egress_usd,
            "egress": egress(report),
            "snapshot_usd": cost.snapshot_usd,
            "leftovers": cost.leftovers,
            "images": cost.images,
            "budgets": [share(each, report) for each in told.charges],
            "verdict": report.verdict and verdict(report.verdict),
            "ssh": ssh(told, report.instances),
            "ssh_host_keys": host_keys(told, report.instances),
            "failure": told.failure,
            "sync": [
                {
                    "instance_id": each.instance_id,
                    "way": each.way,
                    "done": each.done,
                    "left": each.left,
                    "problem": each.problem or None,
                    "at": each.at,
                }
                for each in report.synced
            ],
            "receipts": [receipt(each) for each in report.receipts],
        }
    )


def on_end(report: LeaseReport) -> str:
    """What becomes of its boxes: as its end was begun, as it was ordered, or as the policy says of a found one."""
    told, verdict = report.lease, report.verdict
    if told.ending is not None:
        return told.ending.on_end
    return on_end_of(told, verdict.case.policy) if verdict else OnEnd.TERMINATE


def guest_deadline(told: Lease, instances: Sequence[Instance]) -> datetime | None:
    """When its boxes shut themselves down: the earliest of what they read on themselves, else of what they were started
    with. None: they don't."""
    if told.guest_deadline is None or not told.is_open:
        return None
    read = [at for one in instances if (at := expiry_on(one)) is not None]
    return min(read, default=told.guest_deadline)


def timers(told: Lease) -> str | None:
    """Whether AWS itself ends it in time: `armed`, `pending` until it is, None where nothing is to be armed."""
    if told.status is not Status.ACTIVE:
        return "armed" if told.timers and told.is_open else None
    if told.timers_at is None:
        return "pending"
    return "armed" if told.timers else None


def egress(report: LeaseReport) -> str | None:
    """How much of what was sent is known: up to when, or since when it is not. None before anything ran."""
    if report.egress_unknown_since:
        return f"unknown since {moment(report.egress_unknown_since)}"
    return f"known until {moment(report.lease.egress_until)}" if report.lease.egress_until else None


def hold(told: Hold) -> JsonValue:
    """The worst case in its parts."""
    return {part: usd for part, usd in plain(told).items() if part != "hourly_usd"}


def share(told: Charge, of: LeaseReport) -> JsonValue:
    """A lease on one budget in one period: what of its hold was put there, what it has cost there, and what is held of
    it still, which is nothing once it is closed."""
    spent = cost_in(told.period_key, of.spent_by_day)
    held = max(told.amount_usd - spent, ZERO) if of.lease.is_open else ZERO
    return plain(
        {
            "name": told.budget,
            "period_key": told.period_key,
            "hold_usd": told.amount_usd,
            "spent_usd": spent,
            "held_usd": held,
        }
    )


def verdict(told: Verdict) -> JsonValue:
    """What should happen, and every rule's reason."""
    return {
        "effect": plain(told.effect),
        "due_at": plain(told.due_at),
        "findings": [finding(each) for each in told.findings],
    }


def finding(told: Finding) -> JsonValue:
    """One rule's reason with its figures."""
    return plain(told)


def evidence(told: Evidence) -> JsonValue:
    """What is known of a box's use."""
    return plain(told)


def ssh(told: Lease, instances: Sequence[Instance]) -> str | None:
    """A command that is ready to paste, once a running box has an address."""
    box = _reached(instances)
    if box is None:
        return None
    key_name = (told.order.key_name if told.order else None) or box.key_name
    key = f"-i {shlex.quote(key_name + '.pem')} " if key_name else ""
    is_name = told.ssh_user is not None and _LOGIN.fullmatch(told.ssh_user)
    return f"ssh {key}{told.ssh_user if is_name else EC2_USER}@{box.public_ip}"


def host_keys(told: Lease, instances: Sequence[Instance]) -> Sequence[str]:
    """What ssh asks to confirm when it first connects to that box, once its console has told."""
    box = _reached(instances)
    return told.host_keys.get(box.id, ()) if box else ()


def _reached(instances: Sequence[Instance]) -> Instance | None:
    """The box that the command is for."""
    return next((each for each in instances if each.public_ip and each.is_running), None)


def instance(report: InstanceReport) -> JsonValue:
    """One accelerator instance with its cost, evidence and verdict."""
    box, owner = report.instance, report.lease
    return plain(
        {
            "id": box.id,
            "instance_type": box.type,
            "region": box.region,
            "zone": box.zone,
            "state": box.state,
            "lifecycle": box.lifecycle,
            "launched_at": box.launched_at,
            "public_ip": box.public_ip,
            "spot_request_id": box.spot_request_id,
            "fleet_id": box.fleet_id or box.spot_fleet_id,
            "group": box.group,
            "managed_by": box.managed_by,
            "tags": box.tags,
            "lease_id": owner and owner.id,
            "owner": owner and owner.owner,
            "project": owner and owner.project,
            "accrued_usd": report.cost.accrued_usd,
            "hourly_usd": report.cost.hourly_usd,
            "evidence": evidence(report.verdict.case.evidence),
            "verdict": verdict(report.verdict),
        }
    )


def spot_request(report: SpotRequestReport) -> JsonValue:
    """One spot request or fleet, ours or not, in AWS's words."""
    request, owner = report.request, report.lease
    own = _fleet(request) if isinstance(request, Fleet) else _request(request)
    return plain(
        {
            "id": request.id,
            "request_type": request.type,
            "region": request.region,
            "state": request.state,
            "max_price_usd_per_hour": request.max_price,
            "created_at": request.created_at,
            "valid_until": request.valid_until,
            "tags": request.tags,
            "lease_id": owner and owner.id,
            "owner": owner and owner.owner,
            "project": owner and owner.project,
            **own,
        }
    )


def _request(told: SpotRequest) -> dict[str, object]:
    return {
        "zone": told.zone,
        "status_code": told.status_code,
        "instance_id": told.instance_id,
        "instance_type": told.instance_type,
    }


def _fleet(told: Fleet) -> dict[str, object]:
    return {
        "zone": None,
        "status_code": "",
        "instance_id": None,
        "instance_type": next(iter(told.types)) if len(told.types) == 1 else None,
        "instance_ids": sorted(told.members) if told.members is not None else None,
        "instance_types": sorted(told.types),
        "target_capacity": told.target,
    }


def receipt(told: Receipt) -> JsonValue:
    """The proof of an end, its attempts inside."""
    return plain(told)


def sweep(told: SweepRecord) -> JsonValue:
    """What one sweep saw and did."""
    return plain(told)


def budget(report: BudgetReport) -> JsonValue:
    """A budget as it was put, and where it stands."""
    return {
        **_as_put(report.budget),
        **plain(
            {
                "period_key": report.period_key,
                "spent_usd": report.spent_usd,
                "held_usd": report.held_usd,
                "left_usd": report.left_usd,
                "exhausted_at": report.exhausted_at,
                "next_period": report.next_period,
                "ending": report.ending,
            }
        ),
    }


def _as_put(told: Budget) -> dict[str, JsonValue]:
    return {
        "name": told.name,
        "limit_usd": plain(told.limit_usd),
        "period": told.period.value,
        "scope": {"kind": told.scope_kind.value, "value": told.scope_value},
        "services": told.services,
        "thresholds": [
            {"at_percent": number(each.at_percent), "do": [what.value for what in each.do]}
            for each in told.thresholds
        ],
    }


def policy(told: Policy) -> JsonValue:
    """The bare, complete document; what is neither money nor a length is a number."""
    document = plain(told)
    document["idle"]["gpu_below_percent"] = number(told.idle.gpu_below_percent)
    document["idle"]["coverage"] = number(told.idle.coverage)
    return document


def quote(told: Quote) -> JsonValue:
    """What a launch would hold, and everything that speaks against it (nothing: it would be admitted)."""
    return plain(
        {
            "dry_run": True,
            "would_launch": not told.objections,
            "hold_usd": told.hold.total_usd,
            "hold": hold(told.hold),
            "instance_types": list(told.price_caps),
            "price_caps_usd_per_hour": told.price_caps,
            "spot_usd_per_hour": told.market,
            "budgets": [
                {
                    "name": one.budget,
                    "period_key": one.period_key,
                    "hold_usd": one.hold_usd,
                    "left_usd": one.left_usd,
                    "has_room": one.has_room,
                }
                for one in told.shares
            ],
            "prices_as_of": told.prices_as_of,
            "objections": [objection(each) for each in told.objections],
        }
    )


def objection(told: CurfewError) -> JsonValue:
    """The problem that the launch itself would answer."""
    return plain(problem_of(told).body)


def health(told: Health) -> JsonValue:
    """How well the account is guarded, and what is missing, with what mends it."""
    last = told.last_complete_sweep
    return {**plain(told), "last_complete_sweep": last and sweep(last)}
