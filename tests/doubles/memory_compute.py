"""EC2 in memory, as far as Compute shows it, and doors for tests to set it up, break it and look inside.

It behaves as AWS does where it matters: a persistent request whose instance is terminated before the request is
cancelled starts another one, cancelling leaves the instance running, a client token starts things once.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from threading import RLock
from typing import Any, NoReturn, TypeVar

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.gpus import GpuTypes
from chalicelib.domain.guest_heartbeat import Beacon
from chalicelib.domain.images import ImageOrder, SavedImage
from chalicelib.domain.instance import GONE, RegionView
from chalicelib.domain.lease import Attempt, LaunchOrder
from chalicelib.domain.reservations import Reservation
from chalicelib.domain.storage import Address, Volume
from chalicelib.gateways import ec2_attempts
from chalicelib.gateways.aws import DENIED, THROTTLES
from chalicelib.gateways.ec2_gpus import dated_table
from chalicelib.gateways.ec2_launch import NO_SUCH_TEMPLATE
from chalicelib.ports import Clock, Image, LaunchAnswer, Outcome
from tests.doubles.memory_ec2 import MemoryEc2
from tests.doubles.memory_ports import (
    MemoryClock,
    MemoryMetrics,
    MemoryNotifier,
    MemoryPrices,
)
from tests.doubles.memory_records import Box, Request

__all__ = [
    "Box",
    "Call",
    "MemoryClock",
    "MemoryCompute",
    "MemoryMetrics",
    "MemoryNotifier",
    "MemoryPrices",
    "Request",
]

T = TypeVar("T")
HANGS_FOR = 12.0
LOOKS = frozenset(
    {
        "regions",
        "observe",
        "image",
        "volumes",
        "find_launched",
        "fleet_problem",
        "saved_images",
        "accelerated",
        "gpu_types",
        "addresses",
        "reservations",
    }
)
REFUSALS = (
    "Insufficient",
    "Invalid",
    "Unauthorized",
    "Unsupported",
    "Spot",
    "Max",
    "Idempotent",
    "OperationNot",
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the port, named by its method."""

    operation: str
    region: str
    ids: tuple[str, ...] = ()


@dataclass(slots=True)
class _Failure:
    operation: str
    region: str | None
    times: int
    code: str
    takes_effect: bool


def _no_hook(when: str, call: Call) -> None:
    del when, call


class MemoryCompute:
    """Compute in memory. `calls` has every call in order; `on_call(when, call)` is told `before` and `after` each and
    may raise, as a process that dies there would."""

    def __init__(
        self, clock: Clock, regions: Collection[str] = ("eu-west-1", "us-east-1", "us-west-2")
    ) -> None:
        self.ec2 = MemoryEc2(clock)
        self.clock = clock
        self.hanging: set[str] = set()
        """Regions whose look takes as long as it is waited for."""
        self.names = tuple(regions)
        self.calls: list[Call] = []
        self.on_call: Callable[[str, Call], None] = _no_hook
        self._failures: list[_Failure] = []
        self._answers: dict[tuple[str, str], tuple[Mapping[str, Any], LaunchAnswer]] = {}
        self._lock = RLock()

    # -- for tests ------------------------------------------------------------------------------------------------

    @property
    def acts(self) -> list[Call]:
        """The calls that change something, in order."""
        return [call for call in self.calls if call.operation not in LOOKS]

    def start(self, instance_type: str = "g5.xlarge", region: str = "us-east-1", **facts: Any) -> str:
        """Start a box behind Curfew's back; `market` is `on-demand`, `one-time` or `persistent`. Its id."""
        return self.ec2.start(instance_type, region, **facts).id

    def box(self, instance_id: str) -> Box:
        """The truth about an instance."""
        self.ec2.settle()
        return self.ec2.boxes[instance_id]

    def request(self, request_id: str) -> Request:
        """The truth about a spot request."""
        self.ec2.settle()
        return self.ec2.requests[request_id]

    @property
    def alive(self) -> list[Box]:
        """Everything that runs or is stopped now."""
        self.ec2.settle()
        return [box for box in self.ec2.boxes.values() if box.state not in GONE]

    def fail(
        self,
        operation: str,
        region: str | None = None,
        times: int = 1,
        *,
        code: str = "ServiceUnavailable",
        takes_effect: bool = False,
    ) -> None:
        """The next so many calls of an operation (in a region, or in any) answer an error; with `takes_effect` the
        answer alone is lost."""
        self._failures.append(_Failure(operation, region, times, code, takes_effect))

    def mend(self) -> None:
        """No more scripted failures."""
        self._failures.clear()

    # -- the port -------------------------------------------------------------------------------------------------

    def regions(self) -> tuple[str, ...]:
        return self._call("regions", "", (), lambda: self.names, _unavailable)

    def observe(
        self,
        regions: Collection[str],
        *,
        only: str | None = None,
        patience: float | None = None,
        fleets: Collection[tuple[str, str]] = (),
        whole: bool = False,
    ) -> tuple[RegionView, ...]:
        views = tuple(self._observe(region, only, fleets, whole=whole) for region in regions)
        if not self.hanging.intersection(regions):
            return views
        waited = HANGS_FOR if patience is None else patience
        self.clock.sleep(waited)
        late = RegionView(region="", status="failed", error=f"no answer within {waited:g} s")
        return tuple(replace(late, region=v.region) if v.region in self.hanging else v for v in views)

    def _observe(
        self, region: str, only: str | None, fleets: Collection[tuple[str, str]], *, whole: bool
    ) -> RegionView:
        def failed(code: str) -> RegionView:
            return RegionView(region=region, status="denied" if code in DENIED else "failed", error=code)

        ids = (only,) if only else ()
        own = [fleet_id for where, fleet_id in fleets if where == region]
        return self._call(
            "observe", region, ids, lambda: self.ec2.view(region, only, fleets=own, whole=whole), failed
        )

    def image(self, region: str, image_id: str) -> Image | None:
        return self._call("image", region, (image_id,), lambda: self.ec2.albums.image(image_id), _unavailable)

    def volumes(self, region: str, instance_ids: Collection[str]) -> Mapping[str, tuple[Volume, ...]]:
        def disks() -> dict[str, tuple[Volume, ...]]:
            return {one: self.ec2.volumes(one) for one in instance_ids}

        return self._call("volumes", region, instance_ids, disks, _unavailable)

    def addresses(
        self, region: str, instance_ids: Collection[str], *, now: datetime
    ) -> Mapping[str, tuple[Address, ...]]:
        def some() -> dict[str, tuple[Address, ...]]:
            return {one: self.ec2.addresses_of(one, now) for one in instance_ids}

        return self._call("addresses", region, instance_ids, some, _unavailable)

    def reservations(self, region: str) -> tuple[Reservation, ...]:
        def some() -> tuple[Reservation, ...]:
            return tuple(one for one in self.ec2.reservations if one.region == region)

        return self._call("reservations", region, (), some, _unavailable)

    def accelerated(self, region: str, names: Collection[str]) -> Mapping[str, bool | None]:
        return self._call(
            "accelerated",
            region,
            names,
            lambda: {one: self.ec2.types.get(one) for one in names},
            _unavailable,
        )

    def gpu_types(self, region: str) -> GpuTypes:
        def told() -> GpuTypes:
            return GpuTypes(types=dated_table() if self.ec2.gpu_types is None else self.ec2.gpu_types)

        return self._call(
            "gpu_types", region, (), told, lambda code: GpuTypes(types=dated_table(), lacking=(code,))
        )

    def attempts(
        self,
        order: LaunchOrder,
        *,
        lease_id: str,
        owner: str,
        price_caps: Mapping[str, Decimal],
        image: Image,
        expires_at: datetime,
        valid_until: datetime,
        now: datetime,
        beacon: Beacon | None = None,
    ) -> Iterable[Attempt]:
        return ec2_attempts.attempts(
            order,
            lease_id=lease_id,
            owner=owner,
            price_caps=price_caps,
            image=image,
            expires_at=expires_at,
            valid_until=valid_until,
            now=now,
            beacon=beacon,
        )

    def launch(self, attempt: Attempt) -> LaunchAnswer:
        def failed(code: str) -> LaunchAnswer:
            if code.startswith(NO_SUCH_TEMPLATE):
                return LaunchAnswer(outcome="too-early", code=code, detail=code)
            is_refusal = code.startswith(REFUSALS) and code not in THROTTLES
            return LaunchAnswer(outcome="refused" if is_refusal else "unknown", code=code, detail=code)

        return self._call(
            "launch", attempt.region, (attempt.token,), lambda: self._launch_once(attempt), failed
        )

    def _launch_once(self, attempt: Attempt) -> LaunchAnswer:
        """The same token with the same parameters gives the same answer, with others a refusal."""
        key = (attempt.region, attempt.token)
        if key in self._answers:
            parameters, answer = self._answers[key]
            if parameters != attempt.parameters:
                return LaunchAnswer(
                    outcome="refused", code="IdempotentParameterMismatch", detail="other parameters"
                )
            return answer
        answer = self.ec2.launch(attempt)
        if answer.outcome == "launched":
            self._answers[key] = (attempt.parameters, answer)
        return answer

    def sent(self, attempt: Attempt) -> Mapping[str, Any]:
        """What a call that launched something was made with."""
        return self._answers[attempt.region, attempt.token][0]

    def find_launched(
        self, region: str, *, lease_id: str, tokens: Collection[str], maintains: bool = False
    ) -> LaunchAnswer:
        return self._call(
            "find_launched",
            region,
            (lease_id,),
            lambda: self.ec2.find(region, lease_id, tokens, maintains=maintains),
            _unavailable,
        )

    def fleet_problem(self, region: str, fleet_id: str, *, since: datetime) -> str | None:
        del since

        def problem() -> str | None:
            return self.ec2.controllers.problem(region, fleet_id)

        return self._call("fleet_problem", region, (fleet_id,), problem, _unavailable)

    def console(self, region: str, instance_id: str) -> str:
        def printed() -> str:
            return self.ec2.consoles.get(instance_id, "")

        return self._call("console", region, (instance_id,), printed, _unavailable)

    def cancel_spot_requests(self, region: str, ids: Collection[str]) -> Mapping[str, Outcome]:
        return self._each("cancel_spot_requests", region, ids, self.ec2.cancel)

    def end_fleets(self, region: str, ids: Collection[str], *, and_boxes: bool) -> Mapping[str, Outcome]:
        def end(where: str, one: str) -> Outcome:
            return self.ec2.controllers.end_fleet(where, one, self.ec2.end, and_boxes=and_boxes)

        return self._each("end_fleets", region, ids, end)

    def shrink_fleet(self, region: str, fleet_id: str, *, total: int, on_demand: int | None) -> Outcome:
        def shrink(where: str, one: str) -> Outcome:
            return self.ec2.controllers.shrink_fleet(where, one, total, on_demand)

        return self._each("shrink_fleet", region, [fleet_id], shrink)[fleet_id]

    def detach(self, region: str, group: str, ids: Collection[str]) -> Mapping[str, Outcome]:
        def leave(where: str, one: str) -> Outcome:
            return self.ec2.controllers.detach(where, group, one)

        return self._each("detach", region, ids, leave)

    def resize_group(
        self, region: str, group: str, *, least: int, most: int | None = None, desired: int | None = None
    ) -> Outcome:
        def resize(where: str, one: str) -> Outcome:
            return self.ec2.controllers.resize_group(
                where, one, self.ec2.end, least=least, most=most, desired=desired
            )

        return self._each("resize_group", region, [group], resize)[group]

    def terminate(self, region: str, ids: Collection[str]) -> Mapping[str, Outcome]:
        return self._each("terminate", region, ids, self.ec2.terminate)

    def stop(self, region: str, ids: Collection[str]) -> Mapping[str, Outcome]:
        return self._each("stop", region, ids, self.ec2.stop)

    def lift_termination_protection(self, region: str, instance_id: str) -> Outcome:
        return self._each("lift_termination_protection", region, [instance_id], self.ec2.lift)[instance_id]

    def save_image(self, region: str, order: ImageOrder) -> Outcome:
        def save(region: str, instance_id: str) -> Outcome:
            del instance_id
            return self.ec2.albums.save(region, order)

        return self._each("save_image", region, [order.instance_id], save)[order.instance_id]

    def saved_images(
        self, region: str, *, of: Collection[str] = (), owner: str | None = None, name: str | None = None
    ) -> tuple[SavedImage, ...]:
        def found() -> tuple[SavedImage, ...]:
            return self.ec2.albums.saved(region, of=of, owner=owner, name=name)

        return self._call("saved_images", region, tuple(of), found, _unavailable)

    def forget_image(self, region: str, image_id: str) -> Outcome:
        return self._each("forget_image", region, [image_id], self.ec2.albums.forget)[image_id]

    def tag(self, region: str, ids: Collection[str], tags: Mapping[str, str]) -> None:
        def put() -> None:
            for one in ids:
                self.ec2.boxes[one].tags.update(tags)

        self._call("tag", region, ids, put, _unavailable)

    def delete_launch_template(self, region: str, lease_id: str) -> None:
        def delete() -> None:
            self.ec2.templates.discard((region, ec2_attempts.template_name(lease_id)))

        self._call("delete_launch_template", region, (lease_id,), delete, _unavailable)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _each(
        self, operation: str, region: str, ids: Collection[str], act: Callable[[str, str], Outcome]
    ) -> Mapping[str, Outcome]:
        def failed(code: str) -> Mapping[str, Outcome]:
            return {
                one: Outcome(accepted=False, answer=code, is_absent=code.endswith(".NotFound")) for one in ids
            }

        return self._call(operation, region, ids, lambda: {one: act(region, one) for one in ids}, failed)

    def _call(
        self,
        operation: str,
        region: str,
        ids: Collection[str],
        act: Callable[[], T],
        failed: Callable[[str], T],
    ) -> T:
        call = Call(operation, region, tuple(ids))
        self.calls.append(call)
        self.on_call("before", call)
        with self._lock:
            self.ec2.settle()
            failure = self._next_failure(operation, region)
            if failure is None:
                answer = act()
            else:
                if failure.takes_effect:
                    act()
                answer = failed(failure.code)
        self.on_call("after", call)
        return answer

    def _next_failure(self, operation: str, region: str) -> _Failure | None:
        for failure in self._failures:
            if failure.operation == operation and failure.region in {None, region} and failure.times > 0:
                failure.times -= 1
                return failure
        return None


def _unavailable(code: str) -> NoReturn:
    raise Unavailable(f"EC2: {code}", code=code)
