"""Idle ends by what boxes tell of themselves alone: no agent is installed, and CloudWatch knows nothing of them."""

import hmac
from collections.abc import Callable
from datetime import datetime

from hypothesis import example, given, settings
from hypothesis import strategies as st

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.heartbeats import Minute, Report
from chalicelib.domain.lease import Lease, Status
from chalicelib.domain.notices import Kind
from chalicelib.gateways.beacons import RandomBeacons
from chalicelib.usecases.heartbeats import receive
from tests.builders import MINUTE, Stage, at

QUARTER = 15 * MINUTE


class Box:
    """A launched box that does each minute what its script does."""

    def __init__(self, stage: Stage, lease: Lease) -> None:
        self.stage, self.lease = stage, lease
        self.use: int | None = 0
        self.is_cut_off = False
        self._untold: list[Minute] = []
        self._last: tuple[str, datetime] | None = None
        self._each_minute_from: datetime | None = None
        self._owes = False

    def tick(self) -> None:
        """One look, and a post where one is due."""
        now = self.stage.clock.now()
        self._untold.append(Minute(at=now - MINUTE, gpu=self.use))
        state = "unknown" if self.use is None else "busy" if self.use else "idle"
        is_new = self._last is None or self._last[0] != state or now - self._last[1] >= QUARTER
        is_eager = self._each_minute_from is not None and now >= self._each_minute_from
        if not (is_new or is_eager or self._owes):
            return
        self._owes = True
        if self.is_cut_off:
            return
        told = receive(self.stage.services, self._report(now), raw=b"post", signature=self._sign())
        self._untold, self._owes, self._last = [], False, (state, now)
        self._each_minute_from = told.each_minute_from

    def _report(self, now: datetime) -> Report:
        return Report(
            lease_id=self.lease.id,
            instance_id=self.lease.instance_ids[0],
            counter=int(now.timestamp()),
            sent_at=now,
            minutes=tuple(self._untold),
        )

    def _sign(self) -> str:
        assert self.lease.heartbeat_key
        return hmac.new(self.lease.heartbeat_key.encode(), b"post", "sha256").hexdigest()


def launched(**idle: str) -> tuple[Stage, Box]:
    """Launched at 09:00 under a policy whose idle section has these keys."""
    stage = Stage(beacons=RandomBeacons("https://curfew.example"))
    stage.put_policy(idle=idle)
    return stage, Box(stage, stage.launch())


def play(
    stage: Stage, box: Box, until: datetime, *, before: Callable[[datetime], None] | None = None
) -> None:
    """A look of the box and a sweep each minute, while the lease runs."""
    while stage.clock.now() < until and stage.lease(box.lease.id).status is Status.ACTIVE:
        stage.clock.advance(MINUTE)
        if before:
            before(stage.clock.now())
        box.tick()
        stage.sweep()


def ended_at(stage: Stage, box: Box) -> datetime | None:
    """When its end for idleness was decided."""
    found = stage.store.receipt(box.lease.id)
    return found.decided_at if found and found.cause == "idle" else None


def test_a_box_that_tells_of_its_silence_ends_when_its_window_is_over() -> None:
    """As early as with metrics: warned ten minutes before."""
    stage, box = launched()
    play(stage, box, at("12:00"))
    assert ended_at(stage, box) == at("10:00")
    (warned,) = stage.told(Kind.WARNED)
    assert warned.at == at("09:50")


def test_after_a_warning_no_box_ends_that_says_nothing_more() -> None:
    """It may have begun to work: only a post after the warning ends it, once it is heard again."""
    stage, box = launched()

    def cut_off(now: datetime) -> None:
        box.is_cut_off = at("09:51") <= now < at("10:20")

    play(stage, box, at("10:19"), before=cut_off)
    assert stage.lease(box.lease.id).status is Status.ACTIVE
    play(stage, box, at("10:30"), before=cut_off)
    assert ended_at(stage, box) == at("10:20")


def test_a_post_that_brings_silence_of_before_confirms_no_end() -> None:
    """Its idle minutes came late, and of those since its GPUs say nothing: unknown ends no box."""
    stage, box = launched()

    def breaks(now: datetime) -> None:
        box.is_cut_off = at("09:51") <= now < at("10:05")
        box.use = None if now >= at("09:55") else 0

    play(stage, box, at("12:00"), before=breaks)
    assert ended_at(stage, box) is None


def test_work_after_a_warning_takes_it_back() -> None:
    """And the window begins anew."""
    stage, box = launched()

    def work(now: datetime) -> None:
        box.use = 80 if now == at("09:55") else 0

    play(stage, box, at("12:00"), before=work)
    assert ended_at(stage, box) == at("10:55")
    assert stage.told(Kind.TAKEN_BACK)


def test_without_a_warning_the_last_post_has_to_be_fresh() -> None:
    """Two minutes at most."""
    stage, box = launched(warn_before="PT0S")

    def cut_off(now: datetime) -> None:
        box.is_cut_off = at("09:57") <= now < at("10:10")

    play(stage, box, at("12:00"), before=cut_off)
    assert ended_at(stage, box) == at("10:10")


def test_a_box_that_never_spoke_or_whose_gpus_say_nothing_is_not_idle() -> None:
    """Silence is unknown."""
    for use, is_cut_off in ((0, True), (None, False)):
        stage, box = launched()
        box.use, box.is_cut_off = use, is_cut_off
        play(stage, box, at("11:30"))
        assert stage.lease(box.lease.id).status is Status.ACTIVE


def test_a_box_that_always_says_busy_ends_with_its_lease() -> None:
    """Its owner can make it say so: time and money go on."""
    stage, box = launched()
    box.use = 100
    play(stage, box, at("17:10"))
    assert stage.receipt(box.lease.id).cause == "expired"


def test_a_table_that_can_t_be_read_ends_nothing_for_idleness() -> None:
    """What was told there may be work; a minute later it counts again."""
    stage, box = launched()

    def hide(now: datetime) -> None:
        if at("10:00") <= now <= at("10:05"):
            stage.store.inject("heard", Unavailable("the table does not answer"))

    play(stage, box, at("12:00"), before=hide)
    assert ended_at(stage, box) == at("10:06")


def is_in(spans: list[tuple[int, int]], minute: int) -> bool:
    """Whether any of them, (first minute, how many), has this minute."""
    return any(since <= minute < since + length for since, length in spans)


@example(work=[(17, 1)], cuts=[(17, 4)], blind=[], warn_before="PT5M")
@settings(max_examples=25)
@given(
    work=st.lists(st.tuples(st.integers(0, 100), st.integers(1, 30)), max_size=4),
    cuts=st.lists(st.tuples(st.integers(0, 110), st.integers(1, 40)), max_size=4),
    blind=st.lists(st.tuples(st.integers(0, 110), st.integers(1, 5)), max_size=2),
    warn_before=st.sampled_from(["PT0S", "PT5M"]),
)
def test_no_box_that_worked_within_its_window_is_ended(
    work: list[tuple[int, int]], cuts: list[tuple[int, int]], blind: list[tuple[int, int]], warn_before: str
) -> None:
    """Whatever of its posts is lost and whenever: its last work is at least a window ago."""
    after = 20 * MINUTE
    stage, box = launched(after="PT20M", after_launch="PT0S", warn_before=warn_before)
    worked: list[datetime] = []

    def happen(now: datetime) -> None:
        minute = (now - at("09:00")) // MINUTE
        box.is_cut_off = is_in(cuts, minute)
        box.use = None if is_in(blind, minute) else 0
        if is_in(work, minute):
            box.use = 70
            worked.append(now)

    play(stage, box, at("11:00"), before=happen)
    end = ended_at(stage, box)
    assert end is None or not worked or end - max(worked) >= after
