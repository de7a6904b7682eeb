"""The routes under `/_world` that deal with money."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from localaws.errors import LocalAwsError, RequestError
from localaws.money.account import CreditKind
from localaws.protocol.bodies import moment, number, text
from localaws.protocol.wire import operation_model
from localaws.truth import plain

if TYPE_CHECKING:
    from localaws.world import World

Answer = tuple[int, Any]
Route = tuple[str, str, Any]


class MoneyControl:
    """Spot prices, credits, Cost Explorer."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def routes(self) -> list[Route]:
        return [
            ("POST", r"/_world/prices", self._prices),
            ("POST", r"/_world/credits", self._credit),
            ("PUT", r"/_world/cost-explorer", self._cost_explorer),
            ("PUT", r"/_world/free-tier", self._free_tier),
        ]

    def _prices(self, body: dict[str, Any]) -> Answer:
        """Pin a price, let it move on, or play a series of them."""
        zone, kind = text(body, "zone"), text(body, "type")
        if "steps" in body:
            self._play(zone, kind, body["steps"])
        else:
            self._world.set_price(zone, kind, None if body.get("usd") is None else number(body, "usd"))
        now = self._world.market.curve(zone, kind).at(self._world.now)
        return 200, {"zone": zone, "type": kind, "usd": str(now)}

    def _play(self, zone: str, kind: str, steps: Any) -> None:
        if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
            raise RequestError('steps must be a list of {"at": time, "usd": price}', field="steps")
        try:
            self._world.play_prices(zone, kind, [(moment(one, "at"), number(one, "usd")) for one in steps])
        except LocalAwsError as problem:
            if isinstance(problem, RequestError):
                raise
            raise RequestError(str(problem), field="steps") from problem

    def _credit(self, body: dict[str, Any]) -> Answer:
        kind = body.get("kind", "Credit")
        if kind not in get_args(CreditKind):
            raise RequestError(f"kind must be Credit or Refund, not {kind!r}", field="kind")
        credit = self._world.grant_credit(number(body, "usd"), kind)
        return 201, plain({"at": credit.at, "usd": credit.usd, "kind": credit.kind})

    def _cost_explorer(self, body: dict[str, Any]) -> Answer:
        """Switch it on or off, its hourly data too, activate tags, and say how long a page is."""
        world = self._world
        for name in ("enabled", "hourly"):
            if name in body and not isinstance(body[name], bool):
                raise RequestError(f"{name} must be true or false", field=name)
        size = body.get("page_size", world.ce_page_size)
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise RequestError(f"page_size must be a whole number from 1 on, not {size!r}", field="page_size")
        tags = body.get("tags", [])
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise RequestError("tags must be a list of tag keys", field="tags")
        with world.lock:
            world.ce_page_size, world.ce_hourly = size, body.get("hourly", world.ce_hourly)
            if "enabled" in body:
                world.switch_cost_explorer(on=body["enabled"])
            world.activate_cost_tags(*tags)
        since = world.account.cost_explorer_since
        return 200, {
            "enabled": since is not None,
            "hourly": world.ce_hourly,
            "page_size": world.ce_page_size,
            "tags": sorted(world.account.cost_tags),
        }

    def _free_tier(self, body: dict[str, Any]) -> Answer:
        """Say what AWS answers of the free tier, in AWS's own words, and of the account's plan (null: it has none)."""
        offers, plan = body.get("offers", []), body.get("plan")
        if not isinstance(offers, list):
            raise RequestError("offers must be a list", field="offers")
        usage: Any = operation_model("freetier", "GetFreeTierUsage").output_shape
        for one in offers:
            _check_members(one, usage.members["freeTierUsages"].member, "offers")
        if plan is not None:
            _check_members(plan, operation_model("freetier", "GetAccountPlanState").output_shape, "plan")
        self._world.set_free_tier(offers, plan)
        return 200, {"offers": offers, "plan": plan}


def _check_members(told: Any, shape: Any, field: str) -> None:
    if not isinstance(told, dict) or not set(shape.required_members) <= set(told) <= set(shape.members):
        raise RequestError(
            f"{field}: an object of {', '.join(shape.members)}"
            + (f", with at least {', '.join(shape.required_members)}" if shape.required_members else ""),
            field=field,
        )
