"""What holds of the meter for every life of a box, however it is looked at and whatever is heard of it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.instance import Instance, StateChange
from chalicelib.domain.lease import Lease
from chalicelib.domain.meter import measure
from chalicelib.domain.money import hours
from chalicelib.domain.prices import PriceBook
from chalicelib.domain.storage import Volume, merged
from chalicelib.domain.tracking import track
from tests.builders import BOX, MINUTE, SECOND, TYPE, ZONE, box, lease, prices, sight
from tests.doubles.memory_ports import ON_DEMAND, START

MANY = settings(max_examples=200)
LONGEST_PENDING = 30 * SECOND
DUST = Decimal("1e-12")
"""Decimals are divided to 28 digits."""


@dataclass(frozen=True)
class Stay:
    """One start of a box: asked for, running, stopping; all moments exact."""

    asked_at: datetime
    ran_at: datetime
    ended_at: datetime


@st.composite
def lives(draw: st.DrawFn, shortest: int = 60) -> tuple[Stay, ...]:
    """One to four starts, each with its seconds of `pending`, its run of at least so many, and its rest."""
    stays, at = [], START
    for _ in range(draw(st.integers(1, 4))):
        ran_at = at + draw(st.integers(0, LONGEST_PENDING // SECOND)) * SECOND
        ended_at = ran_at + draw(st.integers(shortest, 40_000)) * SECOND
        stays.append(Stay(at, ran_at, ended_at))
        at = ended_at + draw(st.integers(60, 20_000)) * SECOND
    return tuple(stays)


@st.composite
def books(draw: st.DrawFn) -> PriceBook:
    """A spot price that moves at whole seconds, known from before the start."""
    moves = draw(
        st.dictionaries(st.integers(0, 200_000), st.decimals("0.1", "1", places=3), min_size=0, max_size=15)
    )
    path = [
        (START - MINUTE, Decimal("0.5")),
        *((START + at * SECOND, usd) for at, usd in sorted(moves.items())),
    ]
    return PriceBook(on_demand=ON_DEMAND, as_of="", spot={(ZONE, TYPE): tuple(path)})


def shown(life: tuple[Stay, ...], now: datetime) -> Instance:
    """What EC2 says of the box at a moment."""
    stay = max((one for one in life if one.asked_at <= now), key=lambda one: one.asked_at)
    if now < stay.ran_at:
        return box(state="pending", launched_at=stay.asked_at)
    if now < stay.ended_at:
        return box(launched_at=stay.asked_at)
    return box(state="stopped", launched_at=stay.asked_at, ended_at=stay.ended_at, public_ip=None)


def billed(life: tuple[Stay, ...], book: PriceBook) -> Decimal:
    """What AWS bills: `running` alone, a minute at least for a start, at the price in force."""
    total = Decimal(0)
    for stay in life:
        end = max(stay.ended_at, stay.ran_at + MINUTE)
        path = book.spot[ZONE, TYPE]
        turns = [stay.ran_at, *(at for at, _ in path if stay.ran_at < at < end), end]
        for begin, until in pairwise(turns):
            usd = next(price for at, price in reversed(path) if at <= begin)
            total += usd * hours(until - begin)
    return total


def followed(life: tuple[Stay, ...], looks: list[datetime], news: dict[datetime, StateChange]) -> Lease:
    """The lease after looks at these moments, at some of which an event was heard."""
    its = lease(runs=(), volumes=(), storage_gib=0)
    for now in looks:
        heard = (news[now],) if now in news else ()
        its = track(its, replace(sight(shown(life, now)), news=heard), now)
    return its


def turns_of(life: tuple[Stay, ...]) -> Iterator[tuple[datetime, StateChange]]:
    for stay in life:
        yield stay.ran_at, StateChange(instance_id=BOX, state="running", at=stay.ran_at)
        yield stay.ended_at, StateChange(instance_id=BOX, state="stopping", at=stay.ended_at)


@MANY
@given(lives(), books(), st.lists(st.integers(0, 250_000), max_size=30))
def test_the_meter_is_never_below_the_bill(life: tuple[Stay, ...], book: PriceBook, at: list[int]) -> None:
    """Whatever was looked at, as long as each start was seen. Of a run of less than a minute it bills the minute from
    LaunchTime on, of whose seconds AWS may bill some at a later price."""
    end = life[-1].ended_at
    seen = {stay.ran_at + (stay.ended_at - stay.ran_at) // 2 for stay in life}
    looks = sorted({*seen, end, *(START + one * SECOND for one in at if START + one * SECOND < end)})
    compute = measure(followed(life, looks, {}), book, end).compute_usd
    assert compute >= billed(life, book) - DUST


@MANY
@given(lives(), books())
def test_with_every_stop_seen_only_pending_is_beyond_the_bill(
    life: tuple[Stay, ...], book: PriceBook
) -> None:
    """At most half a minute of the dearest price for each start."""
    looks = sorted({stay.ran_at for stay in life} | {stay.ended_at for stay in life})
    over = measure(followed(life, looks, {}), book, looks[-1]).compute_usd - billed(life, book)
    assert -DUST <= over <= len(life) * hours(LONGEST_PENDING)


@MANY
@given(lives(shortest=1), books(), st.data())
def test_with_every_event_heard_the_meter_is_the_bill(
    life: tuple[Stay, ...], book: PriceBook, data: st.DataObject
) -> None:
    """To the second; a look in between, or an event that comes twice, changes nothing."""
    news = dict(turns_of(life))
    between = data.draw(st.lists(st.integers(0, 250_000), max_size=10))
    end = life[-1].ended_at
    looks = sorted({*news, *(START + one * SECOND for one in between if START + one * SECOND < end)})
    its = followed(life, looks, news)
    assert abs(measure(its, book, end).compute_usd - billed(life, book)) < DUST
    again = track(its, replace(sight(shown(life, end)), news=tuple(news.values())), end)
    assert again.runs == its.runs


shapes = st.builds(
    Volume,
    id=st.sampled_from(["vol-1", "vol-2", "vol-3"]),
    instance_id=st.just(BOX),
    type=st.sampled_from(["gp3", "gp2", "io2"]),
    gib=st.integers(1, 2000),
    iops=st.none() | st.integers(100, 70_000),
    since=st.just(START),
)


@MANY
@given(st.lists(st.dictionaries(st.sampled_from("abc"), shapes, max_size=3), max_size=8))
def test_a_lease_s_volumes_never_overlap(looks: list[dict[str, Volume]]) -> None:
    """However they come, grow and go: one shape of each at a time, and the meter never runs backwards."""
    its, before = lease(storage_gib=0), Decimal(0)
    for number, seen in enumerate(looks, start=1):
        now = START + number * MINUTE
        attached = {one.id: replace(one, since=now) for one in seen.values()}
        volumes = merged(its.volumes, tuple(attached.values()), of=(BOX,), looked_at=now - MINUTE, now=now)
        its = replace(its, volumes=volumes)
        for volume_id in {one.id for one in volumes}:
            spans = sorted(
                (one.since, one.until or datetime.max.replace(tzinfo=now.tzinfo))
                for one in volumes
                if one.id == volume_id
            )
            assert all(until <= since for (_, until), (since, _) in pairwise(spans))
        storage = measure(its, prices(), now).storage_usd
        assert storage >= before
        before = storage
