"""Half a day of the long simulation, and that each of its figures would tell if Curfew were broken."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.evidence import Series
from chalicelib.ports import Outcome, Services
from localaws.world import World
from tests.simulation.happenings import Happenings
from tests.simulation.horizon import next_change
from tests.simulation.longrun import Figures, Horizon, LongRun, simulate
from tests.simulation.replay import data_dir, replay_duty, replay_prices
from tests.simulation.town import Spoil, Town, unspoilt

HOUR = timedelta(hours=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11])
def test_the_promise_holds_through_hours_of_chance(seed: int) -> None:
    """People, AWS and bad luck drawn from a seed: nothing ends wrongly, nothing is missed, no cent is over."""
    assert violations(simulate(seed=seed, days=0.4)) == []


@pytest.mark.slow
def test_the_same_seed_is_the_same_life() -> None:
    """A run can be repeated, to look at what it found."""
    assert simulate(seed=13, days=0.05) == simulate(seed=13, days=0.05)


def a_morning(spoil: Spoil = unspoilt, horizon: Horizon = next_change, hours: float = 3) -> Figures:
    """Two boxes, for three hours: one works for what 80 cents buy, one falls silent after 80 minutes."""
    with World(regions=("us-east-1",), seed=5) as world:
        town = Town(world, spoil)
        town.set_policy(idle={"after": "PT1H", "warn_before": "PT10M"}, unleased={"for": "PT2H30M"})
        lease = town.launch(town.order(lasts_for=4 * HOUR, budget_usd=Decimal("0.80")), key="works")
        assert lease is not None
        silent = world.start_box("g4dn.xlarge", market="persistent", gpu=90)
        world.set_load(lease.instance_ids[0], gpu=90)
        silent.load.set(town.now + timedelta(minutes=80), gpu=0.0)
        return LongRun(
            town, Happenings(town), until=town.now + hours * HOUR, say=lambda _: None, horizon=horizon
        ).run()


def test_a_morning_passes_without_a_violation() -> None:
    """Curfew as it is keeps its promise to both boxes."""
    figures = a_morning()
    assert violations(figures) == []
    assert figures.ends == 2


class Wrapped:
    """A gateway, but for what is broken of it."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Idle(Wrapped):
    """CloudWatch that shows every box silent."""

    def gpu_use(
        self, region: str, instance_ids: Collection[str], *, since: datetime, until: datetime
    ) -> Mapping[str, tuple[Series, ...]]:
        """Zero each minute."""
        minutes = int((until - since) / timedelta(minutes=1))
        silence = tuple((since + timedelta(minutes=number), 0.0) for number in range(minutes))
        return {one: (Series(source="GPU", samples=silence),) for one in instance_ids}


class Idler(Wrapped):
    """EC2 that says yes and ends nothing."""

    def terminate(self, region: str, ids: Collection[str]) -> Mapping[str, Outcome]:
        """Done, it says."""
        return {one: Outcome(accepted=True, answer="terminated") for one in ids}


class Silent(Wrapped):
    """A notifier that loses what it is given."""

    def send(self, notice: Any) -> None:
        """Nobody hears of it."""


def wrongly_idle(services: Services) -> Services:
    return replace(services, metrics=Idle(services.metrics))


def ending_nothing(services: Services) -> Services:
    return replace(services, compute=Idler(services.compute))


def telling_nobody(services: Services) -> Services:
    return replace(services, notifier=Silent(services.notifier))


@pytest.mark.parametrize(
    "spoil,hours,kinds",
    [
        pytest.param(wrongly_idle, 1.5, {"wrong"}, id="evidence that calls every box idle"),
        pytest.param(ending_nothing, 3, {"missed", "over"}, id="ends that end nothing"),
        pytest.param(telling_nobody, 1.5, {"books"}, id="ends that nobody hears of"),
    ],
)
def test_a_broken_curfew_is_noticed(spoil: Spoil, hours: float, kinds: set[str]) -> None:
    """No figure is zero because nothing could make it another."""
    assert kinds <= {kind for kind, _ in a_morning(spoil, hours=hours).violations}


def test_a_jump_over_a_verdict_is_noticed() -> None:
    """In its sampled hours the simulation sees what a clock that jumps too far would have missed."""
    figures = a_morning(horizon=lambda town, *_: town.now + 6 * HOUR)
    assert any(about.startswith("jump") for _, about in figures.violations)


needs_data = pytest.mark.skipif(
    not data_dir().is_dir(), reason=f"no real data in {data_dir()}: CURFEW_DATA_DIR says where it is"
)


@needs_data
@pytest.mark.slow
def test_real_duty_cycles_end_no_box_at_work() -> None:
    """The first pods of a real cluster trace, for two hours, under a window that is shorter than many of their gaps."""
    figures = replay_duty(data_dir(), boxes=6, hours=2, window="PT20M")
    assert violations(figures) == []
    assert figures.ends > 0


@needs_data
@pytest.mark.slow
def test_real_spot_prices_keep_every_hold() -> None:
    """Real price histories under boxes that work, until the hour that is swept by the minute is over."""
    figures = replay_prices(data_dir(), days=0.15)
    assert violations(figures) == []
    assert figures.boxes > 0
    assert figures.sampled_minutes > 0


def violations(figures: Figures) -> list[str]:
    """What was found, in words."""
    return [f"{one.kind}: {one.about}: {one.text}" for one in figures.violations.values()]
