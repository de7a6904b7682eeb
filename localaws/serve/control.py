"""The routes under `/_world`: the truth, and the hand of fate."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, get_args

from localaws.errors import AwsError, RequestError
from localaws.model import Box, Market
from localaws.places import zones
from localaws.protocol.bodies import number, text
from localaws.protocol.faults import Fault
from localaws.protocol.wire import HttpRequest, HttpResponse
from localaws.serve.control_money import MoneyControl
from localaws.starter import known_type
from localaws.truth import plain

if TYPE_CHECKING:
    from localaws.world import World

PREFIX = "/_world"
SLACK_PATH = "/_world/slack/webhook"
MARKETS = get_args(Market)
FAULT_FIELDS = {field.name for field in fields(Fault)} - {"id", "hits"}
Handler = Callable[..., Any]


class Stage(Protocol):
    """Who moves the clock: in the server, the conductor."""

    def advance(self, by: timedelta) -> Any: ...


class Control:
    """`/_world` as a function from request to response."""

    def __init__(self, world: World, stage: Stage, start_over: Callable[[], None]) -> None:
        self._world = world
        self._stage = stage
        self._start_over = start_over
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = [
            (method, re.compile(path), handler)
            for method, path, handler in (
                ("GET", r"/_world/?", lambda _: (200, self._world.truth())),
                ("DELETE", r"/_world/?", self._reset),
                ("POST", r"/_world/instances", self._start_boxes),
                (
                    "GET",
                    r"/_world/instances/([^/]+)",
                    lambda _, box_id: (200, self._world.row(self._box(box_id).id)),
                ),
                ("PUT", r"/_world/instances/([^/]+)", self._set_load),
                ("POST", r"/_world/interrupt/([^/]+)", self._interrupt),
                ("POST", r"/_world/rebalance/([^/]+)", self._rebalance),
                ("POST", r"/_world/shutdown/([^/]+)", self._shutdown),
                ("PUT", r"/_world/forwarders", self._forward),
                ("GET", r"/_world/faults", lambda _: (200, self._world.faults.as_dicts())),
                ("POST", r"/_world/faults", self._add_fault),
                ("DELETE", r"/_world/faults(?:/(\d+))?", self._remove_faults),
                ("POST", r"/_world/capacity", self._capacity),
                *MoneyControl(world).routes,
                ("PUT", r"/_world/consistency", self._consistency),
                ("PUT", r"/_world/throttling", self._throttling),
                ("POST", r"/_world/clock", self._clock),
                ("GET", r"/_world/slack", lambda _: (200, plain(self._world.slack.messages))),
            )
        ]

    def handle(self, request: HttpRequest) -> HttpResponse:
        path = request.url.partition("?")[0]
        if path == SLACK_PATH and request.method == "POST":
            return self._slack(request)
        try:
            status, answer = self._answer(request, path)
        except RequestError as problem:
            status, answer = problem.status, {"error": problem.detail, "field": problem.field}
        except AwsError as problem:
            status, answer = 409, {"error": f"AWS refuses: {problem}", "field": None}
        return HttpResponse(status, {"content-type": "application/json"}, json.dumps(answer).encode())

    def _answer(self, request: HttpRequest, path: str) -> tuple[int, Any]:
        allowed = [method for method, pattern, _ in self._routes if pattern.fullmatch(path)]
        for method, pattern, handler in self._routes:
            found = pattern.fullmatch(path)
            if found and method == request.method:
                status, answer = handler(_body(request), *found.groups())
                return status, answer
        if allowed:
            raise RequestError(
                f"{path} takes {', '.join(sorted(set(allowed)))}, not {request.method}", status=405
            )
        raise RequestError(f"there is nothing at {path}: GET /_world shows the world", status=404)

    def _slack(self, request: HttpRequest) -> HttpResponse:
        with self._world.lock:
            fault = self._world.slack.fault()
        if fault is not None:
            time.sleep(fault.delay_seconds)
        with self._world.lock:
            status = self._world.slack.post(self._world.now, request.body, fault)
        return HttpResponse(status, {"content-type": "text/plain"}, b"ok" if status == 200 else b"no")

    def _reset(self, _: dict[str, Any]) -> tuple[int, Any]:
        self._start_over()
        return 200, self._world.truth()

    def _start_boxes(self, body: dict[str, Any]) -> tuple[int, Any]:
        world = self._world
        kind = known_type(text(body, "type"))
        market = body.get("market", "on-demand")
        if market not in MARKETS:
            raise RequestError(f"market must be one of {', '.join(MARKETS)}, not {market!r}", field="market")
        region = body.get("region", world.home_region)
        if region not in world.regions:
            raise RequestError(
                f"region must be one of {', '.join(world.regions)}, not {region!r}", field="region"
            )
        zone = body.get("zone")
        if zone is not None and zone not in zones(region):
            raise RequestError(f"zone must be one of {', '.join(zones(region))}, not {zone!r}", field="zone")
        tags = body.get("tags", {})
        if not isinstance(tags, dict) or not all(isinstance(one, str) for one in tags.values()):
            raise RequestError("tags must be an object of strings", field="tags")
        count = body.get("count", 1)
        if not isinstance(count, int) or not 1 <= count <= 5000:
            raise RequestError(f"count must be a number from 1 to 5000, not {count!r}", field="count")
        by = body.get("by")
        if by is not None and not (isinstance(by, str) and by.startswith("arn:")):
            raise RequestError(f"by must be the ARN of whoever starts it, not {by!r}", field="by")
        load = _load(body)
        boxes = [
            world.start_box(kind, market=market, tags=tags, region=region, zone=zone, by=by, **load)
            for _ in range(count)
        ]
        rows = [world.row(box.id) for box in boxes]
        return 201, rows[0] if count == 1 else {**rows[0], "items": rows}

    def _set_load(self, body: dict[str, Any], box_id: str) -> tuple[int, Any]:
        load, box = _load(body), self._box(box_id)
        if not load and not {"egress_gb", "heartbeats"} & set(body):
            raise RequestError(
                "say what the load is: gpu, cpu, metric_period, heartbeats or egress_gb", field="gpu"
            )
        if "heartbeats" in body:
            self._tell(box, told=body["heartbeats"])
        if "egress_gb" in body:
            self._world.egress(box.id, number(body, "egress_gb"))
        if load:
            self._world.set_load(box.id, **load)
        return 200, self._world.row(box_id)

    def _tell(self, box: Box, *, told: object) -> None:
        if not isinstance(told, bool):
            raise RequestError(f"heartbeats must be true or false, not {told!r}", field="heartbeats")
        with self._world.lock:
            box.load.is_told = told

    def _interrupt(self, _: dict[str, Any], box_id: str) -> tuple[int, Any]:
        self._world.interrupt(self._live_spot_box(box_id).id)
        return 202, self._world.row(box_id)

    def _rebalance(self, _: dict[str, Any], box_id: str) -> tuple[int, Any]:
        self._world.recommend_rebalance(self._live_spot_box(box_id).id)
        return 202, self._world.row(box_id)

    def _forward(self, body: dict[str, Any]) -> tuple[int, Any]:
        regions = body.get("regions")
        known = self._world.regions
        if not isinstance(regions, list) or not set(map(str, regions)) <= set(known):
            raise RequestError(f"regions must be a list of some of {', '.join(known)}", field="regions")
        self._world.forward_events(regions)
        return 200, {"regions": self._world.forwarders.among(known)}

    def _shutdown(self, _: dict[str, Any], box_id: str) -> tuple[int, Any]:
        self._world.guest_shutdown(self._box(box_id).id)
        return 202, self._world.row(box_id)

    def _add_fault(self, body: dict[str, Any]) -> tuple[int, Any]:
        unknown = set(body) - FAULT_FIELDS
        if unknown:
            raise RequestError(
                f"{min(unknown)} is no field of a fault: it takes {', '.join(sorted(FAULT_FIELDS))}",
                field=min(unknown),
            )
        rate = body.get("rate", 1.0)
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
            raise RequestError(f"rate must be a number from 0 to 1, not {rate!r}", field="rate")
        fault = {key: value for key, value in body.items() if value is not None}
        if "code" in fault:
            fault["code"] = str(fault["code"])
        elif fault.get("delay_seconds") and not fault.get("lost_answer"):
            fault["code"] = ""
        added = self._world.fault(**fault)
        return 201, next(row for row in self._world.faults.as_dicts() if row["id"] == added.id)

    def _remove_faults(self, _: dict[str, Any], fault_id: str | None) -> tuple[int, Any]:
        with self._world.lock:
            self._world.faults.remove(int(fault_id) if fault_id else None)
            return 200, self._world.faults.as_dicts()

    def _capacity(self, body: dict[str, Any]) -> tuple[int, Any]:
        zone, kind, available = body.get("zone", "*"), body.get("type", "*"), body.get("available")
        if not isinstance(available, bool):
            raise RequestError("available must be true or false", field="available")
        self._world.set_capacity(zone, kind, available=available)
        return 200, {"zone": zone, "type": kind, "available": available}

    def _consistency(self, body: dict[str, Any]) -> tuple[int, Any]:
        seconds = body.get("lag_seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= 3600:
            raise RequestError(f"lag_seconds must be from 0 to 3600, not {seconds!r}", field="lag_seconds")
        self._world.set_lag(timedelta(seconds=seconds))
        return 200, {"lag_seconds": seconds}

    def _throttling(self, body: dict[str, Any]) -> tuple[int, Any]:
        on = body.get("on")
        if not isinstance(on, bool):
            raise RequestError("on must be true or false", field="on")
        self._world.set_throttling(on=on)
        return 200, {"on": on}

    def _clock(self, body: dict[str, Any]) -> tuple[int, Any]:
        seconds = body.get("advance_seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds < 0:
            raise RequestError(
                f"advance_seconds must be a number of seconds, not {seconds!r}", field="advance_seconds"
            )
        self._stage.advance(timedelta(seconds=round(seconds)))
        return 200, {"now": plain(self._world.now)}

    def _live_spot_box(self, box_id: str) -> Box:
        box = self._box(box_id)
        if not box.spot or not box.live:
            raise RequestError(
                f"{box_id} is no live spot instance: AWS interrupts only those", field="id", status=409
            )
        return box

    def _box(self, box_id: str) -> Box:
        try:
            return self._world.boxes.of(box_id)
        except KeyError as problem:
            raise RequestError(
                f"there has never been an instance {box_id}", field="id", status=404
            ) from problem


def _body(request: HttpRequest) -> dict[str, Any]:
    if not request.body.strip():
        return {}
    try:
        body = json.loads(request.body)
    except ValueError as problem:
        raise RequestError(f"the body is no JSON: {problem}", field="body", status=400) from problem
    if not isinstance(body, dict):
        raise RequestError("the body must be a JSON object", field="body", status=400)
    return body


def _load(body: dict[str, Any]) -> dict[str, Any]:
    load: dict[str, Any] = {}
    if "gpu" in body:
        load["gpu"] = _gpu(body["gpu"])
    if "cpu" in body:
        load["cpu"] = None if body["cpu"] is None else _percent(body["cpu"], "cpu")
    if "metric_period" in body:
        if body["metric_period"] not in (60, 300):
            raise RequestError(
                f"metric_period must be 60 or 300, not {body['metric_period']!r}", field="metric_period"
            )
        load["period"] = body["metric_period"]
    return load


def _gpu(value: Any) -> float | tuple[float, ...] | None:
    if value is None:
        return None
    if isinstance(value, list):
        return tuple(_percent(one, "gpu") for one in value)
    return _percent(value, "gpu")


def _percent(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 100:
        raise RequestError(f"{name} must be a percentage from 0 to 100, not {value!r}", field=name)
    return float(value)
