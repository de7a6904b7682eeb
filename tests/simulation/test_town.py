"""Curfew over time and faults: whatever happens in the town, in whatever order, the promise holds in billed cents."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chalicelib.domain.budget import Budget, Period
from chalicelib.domain.lease import OnEnd, RequestType
from localaws.model import Market
from localaws.world import World
from tests.simulation import invariants
from tests.simulation.crowds import KEEPERS, MANAGED, Keeper, protect, start_crowd
from tests.simulation.town import MINUTE, REGIONS, Town

IDLE = {"after": "PT20M", "warn_before": "PT5M", "after_launch": "PT5M"}
UNLEASED = {"for": "PT1H", "grace": "PT5M"}
TYPES = ("g5.xlarge", "g4dn.xlarge", "p3.2xlarge")
LAUNCHED = (RequestType.ONE_TIME, RequestType.PERSISTENT, RequestType.MAINTAIN)
FOUND = ("on-demand", "one-time", "persistent", "maintain", "spot-fleet", "asg", "capacity-block")
CALLS = st.integers(min_value=1, max_value=25)
"""At which call a Lambda dies: a sweep of this town makes 10 to 30."""


class TownMachine(RuleBasedStateMachine):
    """Rules are what people, AWS and bad luck do; each ends with Curfew looking at it, or not."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(regions=REGIONS, seed=7)
        self.world.__enter__()
        self.town = Town(self.world)
        self.keys = 0

    def teardown(self) -> None:
        try:
            self.recover()
        finally:
            self.world.__exit__()

    @initialize(limit=st.sampled_from(["6", "20", "1000"]), gpu=st.sampled_from([0, 80]))
    def open_account(self, limit: str, gpu: int) -> None:
        """Never an empty town: something launched, and something behind Curfew's back, both able to come back."""
        self.town.set_policy(idle=IDLE, unleased=UNLEASED)
        self.town.put_budget(Budget(name="account", limit_usd=Decimal(limit), period=Period.TOTAL))
        order = self.town.order(request_type=RequestType.PERSISTENT, lasts_for=timedelta(hours=1))
        lease = self.town.launch(order, key="first")
        for instance_id in lease.instance_ids if lease else ():
            self.world.set_load(instance_id, gpu=gpu)
        self.world.start_box("g4dn.xlarge", market="persistent", gpu=gpu)
        self.town.minute()

    @rule(
        kind=st.sampled_from(TYPES),
        request_type=st.sampled_from(LAUNCHED),
        on_end=st.sampled_from([OnEnd.TERMINATE, OnEnd.TERMINATE, OnEnd.IMAGE]),
        region=st.sampled_from(REGIONS),
        hours=st.sampled_from([1, 2]),
        cap=st.sampled_from([None, "1.50"]),
        gpu=st.sampled_from([0, 80, None]),
        dies_at=st.one_of(st.none(), CALLS),
        after=st.booleans(),
    )
    def launch(
        self,
        *,
        kind: str,
        request_type: RequestType,
        on_end: OnEnd,
        region: str,
        hours: int,
        cap: str | None,
        gpu: int | None,
        dies_at: int | None,
        after: bool,
    ) -> None:
        self.keys += 1
        order = self.town.order(
            instance_types=(kind,),
            region=region,
            request_type=request_type,
            on_end=on_end,
            lasts_for=timedelta(hours=hours),
            budget_usd=Decimal(cap) if cap else None,
        )
        lease = self.town.launch(order, key=f"key-{self.keys}", dies_at=dies_at, after=after)
        for instance_id in lease.instance_ids if lease else ():
            self.world.set_load(instance_id, gpu=gpu)

    @rule(
        kind=st.sampled_from(TYPES),
        market=st.sampled_from(FOUND),
        region=st.sampled_from(REGIONS),
        gpu=st.sampled_from([0, 80, None]),
        is_managed=st.sampled_from([False, False, False, True]),
    )
    def start_behind_curfews_back(
        self, *, kind: str, market: Market, region: str, gpu: int | None, is_managed: bool
    ) -> None:
        tags = MANAGED if is_managed else {}
        box = self.world.start_box(kind, market=market, region=region, tags=tags, gpu=gpu)
        if is_managed:
            self.town.managed.add(box.id)

    @rule(
        keeper=st.sampled_from(KEEPERS),
        number=st.integers(min_value=2, max_value=4),
        helped=st.booleans(),
        protected=st.booleans(),
        gpu=st.sampled_from([0, 80]),
    )
    def start_a_crowd(self, *, keeper: Keeper, number: int, helped: bool, protected: bool, gpu: int) -> None:
        """A fleet or group of several, of which one may be protected or have no GPU."""
        boxes = start_crowd(self.town, keeper, "g5.xlarge", number, region=REGIONS[0], helped=helped)
        for box in boxes:
            self.world.set_load(box.id, gpu=gpu)
        if boxes and protected:
            protect(self.town, boxes[0], self.town.now + timedelta(hours=2))

    @rule(minutes=st.sampled_from([70, 150]))
    def curfew_is_down(self, minutes: int) -> None:
        """Nothing of it runs: what ends then, ends by what was armed before."""
        self.town.is_down = True
        for _ in range(0, minutes, 10):
            self.town.outages.note(self.town.now - MINUTE, self.town.now + 10 * MINUTE)
            self.town.pass_until(self.town.now + 10 * MINUTE)
            self.the_promise_holds()
        self.town.is_down = False
        self.town.minute()

    @rule(end=st.sampled_from(["terminate", "stop", "image"]))
    def found_boxes_are_to_end_so(self, end: str) -> None:
        self.town.set_policy(unleased={"end": end})

    @precondition(lambda self: self.town.alive)
    @rule(data=st.data(), gpu=st.sampled_from([0, 0, 90, None]))
    def work_or_forget(self, *, data: st.DataObject, gpu: int | None) -> None:
        self.world.set_load(data.draw(st.sampled_from(self.town.alive)).id, gpu=gpu)

    @precondition(lambda self: self.town.alive)
    @rule(data=st.data(), how=st.sampled_from(["terminate", "stop", "cancel", "interrupt", "shutdown"]))
    def lay_hands_on_a_box(self, *, data: st.DataObject, how: str) -> None:
        box = data.draw(st.sampled_from(self.town.alive))
        self.town.by_hand(box, how)

    @precondition(lambda self: any(box.spot for box in self.town.alive))
    @rule(data=st.data(), share=st.sampled_from(["0.1", "0.9", "1.3"]), minutes=st.integers(1, 20))
    def a_price_jumps(self, *, data: st.DataObject, share: str, minutes: int) -> None:
        box = data.draw(st.sampled_from([box for box in self.town.alive if box.spot]))
        usd = self.world.market.on_demand_usd(box.zone, box.type) * Decimal(share)
        self.world.set_price(box.zone, box.type, usd)
        self.town.minutes(minutes)

    @rule(code=st.sampled_from(["late", "doubled"]), minutes=st.integers(min_value=1, max_value=10))
    def events_come_late_or_twice(self, *, code: str, minutes: int) -> None:
        self.town.fault(service="events", code=code, delay_seconds=200 if code == "late" else 0)
        self.town.minutes(minutes)
        self.world.clear_faults()

    @rule(seconds=st.sampled_from([0, 10, 40]))
    def ec2_shows_things_late(self, seconds: int) -> None:
        self.world.set_lag(timedelta(seconds=seconds))

    @rule(minutes=st.integers(min_value=1, max_value=15), lose_events=st.booleans())
    def time_passes(self, *, minutes: int, lose_events: bool) -> None:
        self.town.minutes(minutes, lose_events=lose_events)

    @rule(minutes=st.integers(min_value=30, max_value=90))
    def an_hour_passes(self, minutes: int) -> None:
        self.town.minutes(minutes)

    @rule(dies_at=CALLS, after=st.booleans())
    def a_sweep_dies(self, *, dies_at: int, after: bool) -> None:
        self.world.advance(MINUTE)
        self.town.sweep(dies_at=dies_at, after=after)

    @rule(minutes=st.sampled_from([1, 3, 8, 8, 120]))
    def sweeps_are_skipped(self, minutes: int) -> None:
        self.town.minutes(minutes, swept=False, lose_events=True)
        self.town.minute()

    @rule(region=st.sampled_from(REGIONS), minutes=st.integers(min_value=1, max_value=8))
    def a_region_fails(self, region: str, minutes: int) -> None:
        self.town.fault(service="ec2", region=region, code="InternalError")
        self.town.minutes(minutes)
        self.world.clear_faults()
        self.town.minute()

    @rule(rate=st.sampled_from([0.1, 0.3]), lost=st.booleans(), minutes=st.integers(min_value=1, max_value=5))
    def calls_fail_here_and_there(self, *, rate: float, lost: bool, minutes: int) -> None:
        for service in ("ec2", "dynamodb", "cloudwatch", "autoscaling", "scheduler"):
            self.town.fault(service=service, rate=rate, lost_answer=lost, code="InternalError")
        self.town.minutes(minutes)
        self.world.clear_faults()
        self.town.minute()

    @rule()
    def metrics_are_silent(self) -> None:
        self.town.fault(service="cloudwatch", code="InternalError")
        self.town.minutes(10)
        self.world.clear_faults()

    def recover(self) -> None:
        """All is well again for ten minutes: then nothing may be left undone."""
        self.world.clear_faults()
        self.world.set_lag(timedelta(0))
        self.town.minutes(10)
        nothing(invariants.sweeping_again_does_nothing(self.town))
        for check in (*invariants.ALWAYS, *invariants.AT_REST):
            nothing(check(self.town, invariants.all_leases(self.town)))

    @invariant()
    def the_promise_holds(self) -> None:
        leases = invariants.all_leases(self.town)
        for check in (*invariants.ALWAYS, invariants.the_books_balance):
            nothing(check(self.town, leases))


def nothing(found: Iterable[invariants.Violation]) -> None:
    """Fail with the first violation there is."""
    for one in found:
        raise AssertionError(f"{one.kind}: {one.about}: {one.text}")


TestTown = TownMachine.TestCase
TestTown.settings = settings(
    max_examples=2,
    stateful_step_count=14,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # shrinking a day in town takes longer than reading it
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
