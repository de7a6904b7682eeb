"""Days in town: the clock jumps to what can change a verdict, and everything is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.budget import Budget, Period, ScopeKind
from chalicelib.domain.lease import Lease, Status
from chalicelib.ports import SweepRecord
from localaws.world import World
from tests.simulation import invariants
from tests.simulation.fate import Fate
from tests.simulation.happenings import Happenings
from tests.simulation.horizon import Silences, next_change
from tests.simulation.town import MINUTE, REGIONS, Spoil, Town, unspoilt
from tests.simulation.truths import Violation

HOUR = timedelta(hours=1)
FIRST_SAMPLE, SAMPLED_EVERY = 2 * HOUR, 23 * HOUR
"""An hour swept minute by minute begins so often: over the days it falls on every hour of the day."""
AFTERMATH = 2
"""Minutes swept after anything was decided or happened."""
LOOK_BACK = timedelta(hours=3)
LOOKED_IN_ON = timedelta(minutes=10)
"""How often the promise is held against what runs while no sweep comes."""
CENT = Decimal("0.01")
Say = Callable[[str], None]
Horizon = Callable[[Town, Sequence[Lease], Silences], datetime]


@dataclass
class Figures:
    """What a run adds up to."""

    boxes: int = 0
    box_hours: float = 0.0
    faults: int = 0
    ends: int = 0
    sweeps: int = 0
    events: int = 0
    minutes: int = 0
    sampled_minutes: int = 0
    violations: dict[tuple[str, str], Violation] = field(default_factory=dict)

    @classmethod
    def total(cls, parts: Sequence[Figures]) -> Figures:
        """All of them together."""
        total = cls()
        for number, part in enumerate(parts):
            for name in (
                "boxes",
                "box_hours",
                "faults",
                "ends",
                "sweeps",
                "events",
                "minutes",
                "sampled_minutes",
            ):
                setattr(total, name, getattr(total, name) + getattr(part, name))
            total.violations |= {
                (kind, f"{number} {about}"): one for (kind, about), one in part.violations.items()
            }
        return total

    def note(self, found: Iterable[Violation]) -> list[Violation]:
        """Keep them; answers those that are new. The dearest sight of each is kept."""
        new = []
        for one in found:
            known = self.violations.get((one.kind, one.about))
            if known is None:
                new.append(one)
            if known is None or one.usd > known.usd:
                self.violations[one.kind, one.about] = one
        return new

    def count(self, kind: str) -> int:
        """How many violations of a kind."""
        return sum(1 for known, _ in self.violations if known == kind)

    @property
    def cents_over(self) -> int:
        """Whole cents beyond what was promised, each begun one counted."""
        usd = sum((one.usd for one in self.violations.values()), Decimal(0))
        return int(-(-usd // CENT))

    @property
    def line(self) -> str:
        """The last line of a run."""
        return (
            f"boxes {self.boxes}, box-hours {self.box_hours:.0f}, faults {self.faults}, ends {self.ends}, "
            f"wrong {self.count('wrong')}, missed {self.count('missed')}, cents over {self.cents_over}"
        )


class LongRun:
    """One town, one fate, and the clock between them."""

    def __init__(
        self,
        town: Town,
        fate: Happenings,
        *,
        until: datetime,
        say: Say = print,
        horizon: Horizon = next_change,
    ) -> None:
        self._town = town
        self._fate = fate
        self._until = until
        self._say = say
        self._horizon = horizon
        self._sampled_at = town.now + FIRST_SAMPLE
        self._restless = AFTERMATH
        self._leases: tuple[Lease, ...] = ()
        self._silences = Silences()
        self.figures = Figures()

    def run(self) -> Figures:
        """Live until the end, then ten calm minutes after which nothing may be left undone."""
        began = self._town.now
        self._look()
        while self._town.now < self._until:
            if self._fate.play():
                self._restless = AFTERMATH
            self._step()
        self._come_to_rest()
        self._add_up(began)
        return self.figures

    def _step(self) -> None:
        """One sweep at the next minute that may matter, or every minute up to there where that is sampled."""
        town = self._town
        target = self._target()
        if self._is_sampled():
            self._prove_quiet(target)
        if town.now < target and town.pass_until(target):
            self._restless = AFTERMATH
        self._fate.play()
        self._sweep()

    def _target(self) -> datetime:
        """The minute to sweep next. One that something happens in is swept at its end."""
        town, soon = self._town, self._town.now + MINUTE
        if self._restless > 0 or town.is_hindered:
            return soon
        moments = [
            self._horizon(town, self._open, self._silences),
            self._until,
            self._fate.next_at,
            self._next_event(),
        ]
        if not self._is_sampled():
            moments.append(self._sampled_at)
        moment = min(one for one in moments if one is not None)
        return max(soon, town.now + -(-(moment - town.now) // MINUTE) * MINUTE)

    def _next_event(self) -> datetime | None:
        return self._town.world.next_at

    def _is_sampled(self) -> bool:
        if self._town.now >= self._sampled_at + HOUR:
            self._sampled_at += SAMPLED_EVERY
        return self._town.now >= self._sampled_at

    def _prove_quiet(self, target: datetime) -> None:
        """Sweep the minutes that would be jumped over: nothing may be decided in them."""
        town = self._town
        while town.now + MINUTE < target:
            before = self._decided
            if town.pass_until(town.now + MINUTE):
                return
            record = town.sweep()
            self._look()
            self.figures.sampled_minutes += 1
            if before != self._decided or (record and _did_something(record)):
                text = f"the clock would have jumped from {town.now - MINUTE} to {target}: {record}"
                self._found([Violation("books", f"jump at {town.now}", text)])
                return

    def _look(self) -> None:
        """Read the leases anew: the open ones, and those that were closed lately."""
        self._leases = invariants.leases_since(self._town, self._town.now - LOOK_BACK)

    @property
    def _open(self) -> list[Lease]:
        return [lease for lease in self._leases if lease.is_open]

    @property
    def _decided(self) -> list[tuple[str, Status, tuple[str, ...]]]:
        return sorted((lease.id, lease.status, tuple(sorted(lease.warned_at))) for lease in self._open)

    def _sweep(self) -> None:
        town, fate = self._town, self._fate
        self._restless -= 1
        if town.now < fate.sleeps_until:
            self._sleep()
            return
        dies_at, fate.dies_at = fate.dies_at, None
        before = self._decided
        record = town.sweep(dies_at=dies_at, after=fate.dies_after)
        self._look()
        if record is None or _did_something(record) or before != self._decided:
            self._restless = AFTERMATH
        self._check()

    def _check(self) -> None:
        checks = invariants.ALWAYS
        self._found(violation for check in checks for violation in check(self._town, self._leases))

    def _sleep(self) -> None:
        """No sweep comes, and if Curfew is down nothing else of it either; the others live on."""
        town, fate = self._town, self._fate
        town.is_down = fate.is_down
        while town.now < (until := min(fate.sleeps_until, self._until)):
            upto = min(until, town.now + LOOKED_IN_ON, max(fate.next_at or until, town.now + MINUTE))
            town.outages.note(town.now - MINUTE, upto)
            town.pass_until(upto)
            fate.play()
            self._look()
            self._check()
        town.is_down = fate.is_down = False
        self._restless = AFTERMATH

    def _come_to_rest(self) -> None:
        town = self._town
        town.world.clear_faults()
        town.world.set_lag(timedelta(0))
        town.mailbox.is_open = True
        town.minutes(20)
        self._found(invariants.sweeping_again_does_nothing(town))
        leases = invariants.all_leases(town)
        checks = (*invariants.ALWAYS, *invariants.AT_REST)
        self._found(violation for check in checks for violation in check(town, leases))

    def _found(self, violations: Iterable[Violation]) -> None:
        for one in self.figures.note(violations):
            self._say(f"{self._town.now:%Y-%m-%d %H:%M} {one.kind}: {one.about}: {one.text}")

    def _add_up(self, began: datetime) -> None:
        town, figures = self._town, self.figures
        figures.boxes = len(town.boxes)
        figures.box_hours = sum(
            ((run.end or town.now) - run.start) / HOUR for box in town.boxes for run in box.runs
        )
        figures.faults = town.misfortunes
        figures.ends = sum(
            1 for lease in invariants.all_leases(town) if lease.status is Status.CLOSED and lease.instance_ids
        )
        figures.sweeps, figures.events = town.sweeps, town.events_heard
        figures.minutes = int((town.now - began) / MINUTE)


def _did_something(record: SweepRecord) -> bool:
    return bool(record.adopted or record.ended or record.ending or record.warned or record.deferred)


def simulate(
    *, seed: int, days: float, say: Say = print, spoil: Spoil = unspoilt, horizon: Horizon = next_change
) -> Figures:
    """Days in a town of two regions, from a seed. `spoil` breaks Curfew, to see that it would be noticed."""
    with World(regions=REGIONS, seed=seed) as world:
        town = Town(world, spoil)
        town.put_budget(Budget(name="account", limit_usd=Decimal(1500), period=Period.MONTHLY))
        town.put_budget(
            Budget(
                name="vision",
                limit_usd=Decimal(40),
                period=Period.DAILY,
                scope_kind=ScopeKind.PROJECT,
                scope_value="vision",
            )
        )
        until = town.now + timedelta(days=days)
        return LongRun(town, Fate(town, seed, until), until=until, say=say, horizon=horizon).run()
