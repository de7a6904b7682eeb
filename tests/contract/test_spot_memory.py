"""Spot prices outlive a process: what was ever told is in force until the next price is known, whoever asks."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chalicelib.domain.lease import Run
from chalicelib.domain.prices import ListPrices, SpotPool, SpotPrices
from chalicelib.gateways.aws import Aws
from chalicelib.gateways.dynamodb import DynamoStore
from chalicelib.gateways.dynamodb_codec import to_text
from chalicelib.gateways.pricing import Ec2Prices
from chalicelib.gateways.spot_memory import MOST_POINTS, SpotMemory
from localaws.world import World
from tests.contract.compute_labs import REGION, let_finish
from tests.contract.test_price_list import Kept
from tests.doubles.memory_ports import START

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
POOL = ("us-east-1a", "g5.xlarge")
SECOND_POOL = ("us-east-1b", "g4dn.xlarge")
CAP = Decimal("1.006")


@pytest.fixture
def world() -> Iterator[World]:
    with World(seed=7) as found:
        yield found


class Lambda:
    """One process that looks at the price of pools since the world began, and what it asked of EC2."""

    def __init__(self, world: World, kept: Kept | None = None, *, deadline_seconds: float = 60) -> None:
        self.asked: list[str] = []
        self._world, self._since = world, world.now - HOUR
        session = world.session()._session
        session.register("before-call.ec2.DescribeSpotPriceHistory", self._note)
        self.prices = Ec2Prices(Aws(REGION, session=session), cache=kept, deadline_seconds=deadline_seconds)

    def _note(self, **event: Any) -> None:
        self.asked.append(event["context"]["client_region"])

    def usd(self, *pools: tuple[str, str], since: datetime | None = None) -> Decimal:
        """The price of the first pool now, the cap where none is known."""
        zones, now = pools or (POOL,), self._world.now
        zone, name = zones[0]
        run = Run(
            instance_id="i-1",
            instance_type=name,
            zone=zone,
            is_spot=True,
            started_at=START,
            max_price_usd=CAP,
        )
        return self.prices.book(zones, since=since or self._since, now=now).hourly_usd(run, now)

    def keep(self, *pools: tuple[str, str]) -> None:
        self.prices.keep(pools or (POOL,), since=self._since, now=self._world.now)


def silence(world: World) -> None:
    world.fault(service="ec2", operation="DescribeSpotPriceHistory", code="InternalError")


def test_a_cold_process_knows_the_price_although_ec2_does_not_answer(world: World) -> None:
    """It takes what another one kept: a lease with a budget_usd is not ended for an unknown price."""
    kept = Kept()
    first = Lambda(world, kept)
    world.set_price(*POOL, Decimal("0.3"))
    assert first.usd() == Decimal("0.3")
    first.keep()
    silence(world)
    world.advance(20 * MINUTE)
    assert Lambda(world).usd() == CAP
    assert Lambda(world, kept).usd() == Decimal("0.3")


def test_a_price_that_is_kept_is_in_force_until_the_next_one_is_known(world: World) -> None:
    """Also over hours; once EC2 answers, everything that moved meanwhile counts from when it moved."""
    kept = Kept()
    first = Lambda(world, kept)
    world.set_price(*POOL, Decimal("0.3"))
    first.usd()
    first.keep()
    silence(world)
    cold = Lambda(world, kept)
    world.advance(5 * HOUR)
    moved_at = world.now
    world.set_price(*POOL, Decimal("0.7"))
    world.advance(HOUR)
    assert cold.usd() == Decimal("0.3")
    world.clear_faults()
    world.advance(MINUTE)
    assert cold.usd() == Decimal("0.7")
    path = cold.prices.book([POOL], since=START - HOUR, now=world.now).spot[POOL]
    assert (moved_at, Decimal("0.7")) in path


def test_what_is_kept_is_found_also_while_its_region_is_not_asked_again(world: World) -> None:
    """A launch half a minute after another's failed question, of another type."""
    kept = Kept()
    first = Lambda(world, kept)
    world.set_price(*POOL, Decimal("0.3"))
    world.set_price(*SECOND_POOL, Decimal("0.2"))
    first.usd(POOL, SECOND_POOL)
    first.keep(POOL, SECOND_POOL)
    silence(world)
    world.advance(20 * MINUTE)
    cold = Lambda(world, kept)
    assert (cold.usd(POOL), cold.usd(SECOND_POOL)) == (Decimal("0.3"), Decimal("0.2"))


def test_a_pool_that_nobody_was_ever_told_of_counts_at_the_cap(world: World) -> None:
    """Another pool's price says nothing of it."""
    kept = Kept()
    first = Lambda(world, kept)
    first.usd()
    first.keep()
    silence(world)
    assert Lambda(world, kept).usd(SECOND_POOL) == CAP


def test_the_table_is_read_only_where_ec2_did_not_tell(world: World) -> None:
    """A table that is down changes nothing while EC2 answers."""
    kept = Kept()
    kept.is_down = True
    one = Lambda(world, kept)
    world.set_price(*POOL, Decimal("0.3"))
    assert one.usd() == Decimal("0.3")
    one.keep()
    kept.is_down = False
    one.keep()
    assert kept.spot_writes == 1


def test_it_is_written_rarely(world: World) -> None:
    """At once where a pool is new; where a price moved, once in a quarter of an hour; where none did, never."""
    kept = Kept()
    one = Lambda(world, kept)
    world.set_price(*POOL, Decimal("0.3"))

    def sweep(*pools: tuple[str, str]) -> int:
        world.advance(MINUTE)
        one.usd(*pools)
        one.keep(*pools)
        return kept.spot_writes

    assert [sweep() for _ in range(3)] == [1, 1, 1]
    assert sweep(POOL, SECOND_POOL) == 2
    world.set_price(*POOL, Decimal("0.4"))
    assert [sweep() for _ in range(14)] == [2] * 14
    assert [sweep() for _ in range(6)][-1] == 3
    (pool,) = (pool for pool in kept.spot[REGION].pools if pool.zone == POOL[0])
    assert pool.points[-1][1] == Decimal("0.4")


def test_who_was_told_nothing_overwrites_nothing(world: World) -> None:
    """A process whose EC2 is silent leaves what others kept, also of pools that it knows itself."""
    kept = Kept()
    first = Lambda(world, kept)
    first.usd(POOL, SECOND_POOL)
    first.keep(POOL, SECOND_POOL)
    before = kept.spot[REGION]
    silence(world)
    cold = Lambda(world, kept)
    cold.usd(POOL)
    cold.keep(POOL)
    assert (kept.spot[REGION], kept.spot_writes) == (before, 1)


def test_a_region_that_hangs_is_not_waited_for_by_each_try_of_a_launch(world: World) -> None:
    """Within half a minute it is not asked again; a sweep of the next minute does ask."""
    one = Lambda(world, deadline_seconds=0.05)
    silence(world)
    assert one.usd() == CAP
    let_finish("prices")
    asked = len(one.asked)
    assert one.usd() == CAP
    assert len(one.asked) == asked
    world.clear_faults()
    world.advance(MINUTE)
    one.usd()
    let_finish("prices")
    assert one.usd() < CAP


def test_prices_that_can_t_be_read_stop_nothing(world: World) -> None:
    """They are passed over, as if nothing were kept."""

    class Garbled(Kept):
        def spot_prices(self) -> tuple[SpotPrices, ...]:
            raise KeyError("doc")

    silence(world)
    assert Lambda(world, Garbled()).usd() == CAP


def test_an_item_holds_every_pool_of_a_region() -> None:
    """Six hundred pools over three days of moving prices stay far below DynamoDB's 400 KB, undeflated even; each keeps
    its last prices."""
    kept = Kept()
    memory = SpotMemory(kept)
    since, now = START, START + 72 * HOUR
    points = {START + number * HOUR: Decimal("0.412300") + number for number in range(73)}
    pools = [(f"us-east-1{zone}", f"g5.{size}xlarge") for zone in "abcdef" for size in range(100)]
    memory.learn(dict.fromkeys(pools, since), dict.fromkeys(pools, points), now)
    memory.keep(pools, since=since, now=now)
    made = kept.spot[REGION]
    assert len(made.pools) == 600
    assert {pool.points[-1] for pool in made.pools} == {(now, points[now])}
    assert sum(len(pool.points) for pool in made.pools) <= MOST_POINTS
    assert len(to_text(made)) < 400 * 1024
    assert all(pool.since == pool.points[0][0] for pool in made.pools)
    json.loads(to_text(made))


def test_the_table_keeps_each_region_to_the_last_digit(dynamo_store: DynamoStore) -> None:
    """The last word on a region stands; list prices are kept apart, where older versions find nothing else."""
    pool = SpotPool(zone=POOL[0], instance_type=POOL[1], since=START, points=((START, Decimal("0.4123000")),))
    other = SpotPrices(region="us-west-2", pools=(pool,))
    told = SpotPrices(
        region=REGION, pools=(pool, SpotPool(zone="b", instance_type="c", since=START, points=()))
    )
    listed = ListPrices(region=REGION)
    dynamo_store.keep_list_prices(listed)
    for each in (SpotPrices(region=REGION), other, told):
        dynamo_store.keep_spot_prices(each)
    assert dynamo_store.spot_prices() == (told, other)
    assert dynamo_store.list_prices() == (listed,)


@settings(max_examples=60)
@example([("answers", False, True, 1), ("fails", False, False, 6), ("fails", True, False, 1)])
@given(
    st.lists(
        st.tuples(st.sampled_from(["answers", "fails"]), st.booleans(), st.booleans(), st.integers(1, 40)),
        min_size=1,
        max_size=25,
    )
)
def test_no_price_is_unknown_once_it_was_told_and_kept(
    steps: list[tuple[str, bool, bool, int]],
) -> None:
    """Over any order of answers, failures, restarts and crashes before the writing: what is in force is the last price
    told to this process or kept by any, never none, and everything after an answer is as EC2 has it."""
    kept, now, truth = Kept(), START, {START: Decimal("0.30")}
    memory, knows = SpotMemory(kept), False
    for outcome, restarts, dies, minutes in steps:
        now += minutes * MINUTE
        truth[now - SECOND] = Decimal(len(truth)) / 100
        if restarts:
            memory, knows = SpotMemory(kept), False
        wanted = memory.wanted([POOL], START, now, fresh=False).get(REGION)
        if wanted and outcome == "answers":
            start = wanted[POOL]
            memory.learn(wanted, {POOL: {at: usd for at, usd in truth.items() if at >= start}}, now)
            knows = True
        elif wanted:
            memory.failed(REGION, now)
            memory.recall([POOL], START)
        path = memory.known([POOL], START, now).get(POOL, ())
        assert bool(path) or not (knows or (kept.spot and wanted))
        assert all(truth[at] == usd for at, usd in path)
        if wanted and outcome == "answers":
            assert dict(path) == truth
        if not dies:
            memory.keep([POOL], since=START, now=now)
