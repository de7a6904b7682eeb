"""What holds for every price path, every pattern of samples and every order of mishaps, not only for the examples."""

import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.admission import capped, worst_case
from chalicelib.domain.case import Case, Effect, Verdict
from chalicelib.domain.cut import cut_to_fit
from chalicelib.domain.decide import decide
from chalicelib.domain.errors import CurfewError
from chalicelib.domain.evidence import Evidence, Series, Use, of_box, unknown
from chalicelib.domain.instance import AT_REST, GONE
from chalicelib.domain.lease import Hold, LaunchOrder, Lease, Origin, RequestType
from chalicelib.domain.meter import Cost, measure
from chalicelib.domain.money import hours
from chalicelib.domain.plan import begin_ending, plan
from chalicelib.domain.policy import IdlePolicy, Policy
from chalicelib.domain.prices import PriceBook
from chalicelib.domain.steps import CANCEL
from chalicelib.domain.tracking import holdings, track
from chalicelib.usecases.end import end_lease
from chalicelib.usecases.extend import extend
from tests.builders import (
    BOX,
    HOUR,
    MINUTE,
    REGION,
    SECOND,
    TYPE,
    ZONE,
    Stage,
    adopted,
    at,
    box,
    busy_at,
    case,
    gp3,
    lease,
    minutes,
    order,
    policy,
    prices,
    request,
    run,
    sight,
    usd,
)
from tests.doubles.accidents import Crash
from tests.doubles.memory_compute import Call
from tests.doubles.memory_ports import ON_DEMAND, START

FEW = settings(max_examples=60)
MANY = settings(max_examples=100)

dollars = st.decimals(min_value="0.01", max_value=500, places=2)
orders = st.builds(
    order,
    lasts_for=st.integers(30, 360).map(minutes),
    target_capacity=st.integers(1, 3),
    max_price_usd_per_hour=st.none() | st.decimals(min_value="0.05", max_value=3, places=3),
    egress_gb=st.integers(0, 200),
    budget_usd=st.none() | st.decimals(min_value=1, max_value=20, places=2),
    instance_types=st.sampled_from([(TYPE,), (TYPE, "g4dn.xlarge"), ("g5.12xlarge",)]),
)


# -- money -----------------------------------------------------------------------------------------------------------------


@st.composite
def price_paths(draw: st.DrawFn) -> tuple[tuple[int, Decimal], ...]:
    """(minute, share of the cap), ascending; anything up to the cap itself."""
    moves = draw(
        st.dictionaries(
            st.integers(0, 360), st.decimals(min_value="0.01", max_value=1, places=2), max_size=12
        )
    )
    return tuple(sorted(moves.items()))


def held_lease(wish: LaunchOrder, gib: int, instance_type: str, cap: Decimal) -> Lease:
    hold = worst_case(wish, disks=gp3(gib), prices=prices(), margin=Policy().teardown.margin)
    ids = tuple(f"i-{n}" for n in range(wish.target_capacity))
    runs = tuple(run(instance_id=one, instance_type=instance_type, max_price_usd=cap) for one in ids)
    return lease(
        hold=hold, order=wish, storage_gib=gib, instance_ids=ids, runs=runs, expires_at=START + wish.lasts_for
    )


@FEW
@given(orders, price_paths(), st.integers(1, 500), st.data())
def test_what_curfew_launches_never_costs_more_than_its_hold(
    wish: LaunchOrder, path: tuple[tuple[int, Decimal], ...], gib: int, data: st.DataObject
) -> None:
    """For any price up to the cap: ended when a sweep says so, and that within the margin, the meter stays below it."""
    instance_type = data.draw(st.sampled_from(wish.instance_types))
    cap = wish.max_price_usd_per_hour or ON_DEMAND[instance_type]
    history = tuple((START + minutes(minute), cap * share) for minute, share in path)
    book = PriceBook(on_demand=ON_DEMAND, as_of="2026-11-01", spot={(ZONE, instance_type): history})
    its = held_lease(wish, gib, instance_type, cap)
    now = START - MINUTE
    for step in (minutes(15), MINUTE):  # in two strides, since no verdict softens as time goes on
        while decide(_judged(its, book, now + step)).effect is not Effect.END:
            now += step
    now += MINUTE
    over = now + Policy().teardown.margin - MINUTE
    ended = replace(its, runs=tuple(replace(one, ended_at=over, disk_ended_at=over) for one in its.runs))
    accrued = measure(ended, book, over).accrued_usd
    assert accrued <= its.hold.total_usd - its.hold.egress_usd or now == START
    assert now <= its.expires_at


def _judged(its: Lease, book: PriceBook, now: datetime) -> Case:
    return case(now, lease=its, instances=(), cost=measure(its, book, now))


@MANY
@given(orders, st.integers(0, 2000))
def test_a_hold_grows_with_time_capacity_cap_and_disk(wish: LaunchOrder, gib: int) -> None:
    """More of anything never costs less, unless `budget_usd` caps it."""
    margin = Policy().teardown.margin
    free = replace(wish, budget_usd=None)

    def total(what: LaunchOrder, size: int = gib) -> Decimal:
        return worst_case(what, disks=gp3(size), prices=prices(), margin=margin).total_usd

    assert total(replace(free, lasts_for=free.lasts_for + SECOND)) >= total(free)
    assert total(replace(free, lasts_for=free.lasts_for + HOUR)) > total(free)
    assert total(replace(free, target_capacity=free.target_capacity + 1)) > total(free)
    assert total(replace(free, max_price_usd_per_hour=usd(60))) > total(free)
    assert total(free, gib + 100) >= total(free)
    assert total(free) >= total(wish)
    if wish.budget_usd is not None:
        assert total(wish) == min(wish.budget_usd, total(free))


@MANY
@given(st.tuples(dollars, dollars, dollars, dollars), dollars)
def test_a_capped_hold_is_never_more_than_its_limit_nor_any_part_less_than_nothing(
    parts: tuple[Decimal, Decimal, Decimal, Decimal], limit: Decimal
) -> None:
    """The sum is the smaller of both, and no part grows."""
    whole = Hold(compute_usd=parts[0], storage_usd=parts[1], public_ipv4_usd=parts[2], egress_usd=parts[3])
    cut = capped(whole, limit)
    assert cut.total_usd == min(whole.total_usd, limit)
    pairs = [(cut.compute_usd, whole.compute_usd), (cut.storage_usd, whole.storage_usd)]
    pairs += [(cut.public_ipv4_usd, whole.public_ipv4_usd), (cut.egress_usd, whole.egress_usd)]
    assert all(0 <= less <= more for less, more in pairs)


@MANY
@given(price_paths(), st.integers(0, 20_000), st.integers(0, 20_000))
def test_the_meter_never_runs_backwards_and_stays_between_the_prices(
    path: tuple[tuple[int, Decimal], ...], first: int, more: int
) -> None:
    """Later is never cheaper; the mean price lies between the lowest and the highest there was."""
    book = prices(*((START + minutes(minute), str(share)) for minute, share in path))
    one = run(max_price_usd=usd(1))
    early, late = START + timedelta(seconds=first), START + timedelta(seconds=first + more)
    assert book.compute_usd(one, early) <= book.compute_usd(one, late)
    length = hours(max(late - START, MINUTE))
    shares = [share for _, share in path] or [usd(1)]
    slack = usd("1e-20")
    assert min(*shares, usd(1)) * length - slack <= book.compute_usd(one, late) <= usd(1) * length + slack


@MANY
@given(st.lists(st.tuples(dollars, dollars, st.booleans(), st.integers(1, 30)), max_size=8), dollars)
def test_a_cut_ends_until_it_fits_and_no_lease_more(
    known: list[tuple[Decimal, Decimal, bool, int]], limit: Decimal
) -> None:
    """Without the last one it would not fit; with all of them it need not, for spent is spent."""
    verdicts: list[Verdict] = []
    for number, (held, accrued, is_idle, length) in enumerate(known):
        its = lease(id=f"lease-{number}", hold=Hold(compute_usd=held), expires_at=START + length * HOUR)
        evidence = Evidence(use=Use.IDLE, reason="", since=START) if is_idle else busy_at(START)
        verdicts.append(decide(case(START, lease=its, evidence=evidence, cost=Cost(compute_usd=accrued))))
    used = sum((held for held, *_ in known), usd(0))
    frees = {
        v.case.lease.id: {"total": max(v.case.lease.hold.total_usd - v.case.cost.accrued_usd, usd(0))}
        for v in verdicts
        if v.case.lease
    }
    cut = cut_to_fit(verdicts, frees_usd=frees, used_usd={"total": used}, limit_usd=limit)

    def after(leases: tuple[str, ...]) -> Decimal:
        return used - sum((frees[one]["total"] for one in leases), usd(0))

    useful = [one for one in frees if frees[one]["total"] > 0]
    assert after(cut.leases) <= limit or sorted(cut.leases) == sorted(useful)
    assert not cut.leases or after(cut.leases[:-1]) > limit


# -- verdicts --------------------------------------------------------------------------------------------------------------


evidences = st.one_of(
    st.just(unknown("no metric")),
    st.integers(-300, 600).map(lambda n: Evidence(use=Use.IDLE, reason="", since=START + minutes(n))),
    st.integers(0, 600).map(lambda n: busy_at(START + minutes(n))),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A lease at any hour, with any evidence, cost and protection."""
    warned = draw(st.none() | st.integers(0, 600).map(lambda n: START + minutes(n)))
    its = draw(st.sampled_from([lease, adopted]))(
        expires_at=START + minutes(draw(st.integers(1, 600))),
        hold=Hold(compute_usd=draw(dollars)),
        warned_at={"idle": warned} if warned else {},
    )
    tags = draw(st.sampled_from([{}, {"curfew:protect": "2026-11-23T13:00Z"}, {"curfew:protect": "true"}]))
    return case(
        START + minutes(draw(st.integers(0, 600))),
        lease=its,
        instances=(box(tags=tags),),
        evidence=draw(evidences),
        cost=Cost(compute_usd=draw(dollars), hourly_usd=usd(1), ceiling_usd=usd(1)),
        policy=policy(idle={"warn_before": draw(st.sampled_from(["PT0S", "PT10M", "PT2H"]))}),
    )


@MANY
@given(cases(), st.integers(0, 600))
def test_a_verdict_never_softens_as_time_goes_on(judged: Case, later: int) -> None:
    """The same facts a while later ask for no less."""
    assert decide(replace(judged, now=judged.now + minutes(later))).effect >= decide(judged).effect


@MANY
@given(cases(), dollars)
def test_a_verdict_never_softens_as_spend_grows(judged: Case, more: Decimal) -> None:
    """Dearer is never judged milder."""
    dearer = replace(judged.cost, compute_usd=judged.cost.compute_usd + more)
    assert decide(replace(judged, cost=dearer)).effect >= decide(judged).effect


@MANY
@given(cases(), st.integers(0, 600))
def test_a_verdict_never_softens_as_silence_grows(judged: Case, more: int) -> None:
    """Idle for longer is never judged milder."""
    quiet = Evidence(use=Use.IDLE, reason="", since=judged.now - minutes(30))
    longer = replace(quiet, since=judged.now - minutes(30 + more))
    assert decide(replace(judged, evidence=longer)).effect >= decide(replace(judged, evidence=quiet)).effect


@MANY
@given(cases())
def test_what_is_not_known_ends_nothing_for_idleness(judged: Case) -> None:
    """Whatever else holds: no idle end on unknown evidence, and none of a box protected in time."""
    blind = decide(replace(judged, evidence=unknown("no metric")))
    assert all(finding.effect is Effect.KEEP for finding in blind.findings if finding.rule == "idle")


# -- evidence --------------------------------------------------------------------------------------------------------------


@st.composite
def series(draw: st.DrawFn) -> tuple[Series, timedelta]:
    """Hours of samples at one of the two intervals, mostly silent, with holes, duplicates and no order."""
    every = draw(st.sampled_from([MINUTE, minutes(5)]))
    number = int(3 * HOUR / every)
    work = draw(st.dictionaries(st.integers(0, number - 1), st.floats(0, 100), max_size=4))
    holes = draw(st.sets(st.integers(0, number - 1), max_size=number // 3))
    offset = draw(st.integers(0, 59)) * SECOND
    found = [(START + offset + n * every, work.get(n, 0.0)) for n in range(number) if n not in holes]
    repeated = found + [(moment, 0.0) for moment, _ in found[:: draw(st.integers(2, 9))]]
    return Series(source="GPU", samples=tuple(draw(st.permutations(repeated)))), every


@MANY
@given(series(), st.integers(0, 20))
def test_a_box_that_worked_in_the_window_is_not_idle_for_all_of_it(
    known: tuple[Series, timedelta], late: int
) -> None:
    """Any sample of work whose period reaches into the window keeps the box from being idle that long."""
    told, every = known
    now, after = START + 3 * HOUR + minutes(late), timedelta(hours=1)
    seen = of_box([told], idle=IdlePolicy(after=after), running_since=START - 9 * HOUR, now=now)
    worked = [moment for moment, percent in told.samples if percent >= 1 and moment + every > now - after]
    if worked and seen.use is Use.IDLE:
        assert seen.since is not None
        assert now - seen.since < after
        assert seen.since >= max(worked) + MINUTE
    if seen.use is Use.IDLE:
        newest = max(moment for moment, _ in told.samples)
        assert now - newest <= 3 * every


@MANY
@given(series())
def test_order_and_duplicates_change_nothing(known: tuple[Series, timedelta]) -> None:
    """The same samples are the same evidence."""
    told, _ = known
    now = START + 3 * HOUR

    def judge(samples: tuple[tuple[datetime, float], ...]) -> Evidence:
        return of_box(
            [Series(source="GPU", samples=samples)], idle=IdlePolicy(), running_since=START, now=now
        )

    assert judge(tuple(sorted(told.samples))) == judge(told.samples) == judge(told.samples + told.samples)


# -- plans -----------------------------------------------------------------------------------------------------------------


@MANY
@given(
    st.lists(
        st.sampled_from(["open", "active", "disabled", "closed", "cancelled", "failed", "unseen"]), max_size=5
    ),
    st.lists(
        st.sampled_from(
            ["running", "pending", "stopped", "shutting-down", "terminated", "unknown", "unseen"]
        ),
        max_size=5,
    ),
)
def test_every_controller_stands_before_every_instance(requests: list[str], boxes: list[str]) -> None:
    """And nothing that may run or start is left out."""
    known = [request(f"sir-{n}", state=word) for n, word in enumerate(requests) if word != "unseen"]
    seen = [
        box(f"i-{n}", state=word, spot_request_id=None) for n, word in enumerate(boxes) if word != "unseen"
    ]
    its = lease(
        spot_request_ids=tuple(f"sir-{n}" for n in range(len(requests))),
        instance_ids=tuple(f"i-{n}" for n in range(len(boxes))),
    )
    look = sight(*known, *seen)
    ending = begin_ending(
        its, cause="expired", reason="", figures={}, owned=holdings(its, look, START), now=START
    ).ending
    assert ending is not None
    actions = [step.action for step in ending.steps]
    assert actions == sorted(actions, key=lambda action: action != CANCEL)
    pending = {step.target for step in ending.steps if not step.done_at}
    assert pending == {
        *(f"sir-{n}" for n, word in enumerate(requests) if word in {"open", "active", "disabled", "unseen"}),
        *(f"i-{n}" for n, word in enumerate(boxes) if word != "terminated"),
    }


@MANY
@given(
    st.lists(st.tuples(st.sampled_from(["idle", "expired", "kept"]), dollars), max_size=12), st.integers(0, 5)
)
def test_a_plan_caps_idleness_alone_and_goes_by_cost(known: list[tuple[str, Decimal]], cap: int) -> None:
    """Everything due by time ends, of the idle the costliest so many, and the dearest first."""
    verdicts = []
    for number, (why, hourly) in enumerate(known):
        its = lease(
            id=f"lease-{number}",
            expires_at=at("12:00") if why == "expired" else at("17:00"),
            warned_at={"idle": at("11:00")},
        )
        evidence = (
            Evidence(use=Use.IDLE, reason="", since=at("10:00")) if why == "idle" else busy_at(at("12:00"))
        )
        verdicts.append(decide(case(at("12:00"), lease=its, evidence=evidence, cost=Cost(hourly_usd=hourly))))
    intent = plan(verdicts, policy(limits={"idle_ends_per_sweep": cap}))
    costs = [verdict.case.cost.hourly_usd for verdict in intent.ends]
    assert costs == sorted(costs, reverse=True)
    idle = [hourly for why, hourly in known if why == "idle"]
    assert len(intent.ends) == sum(why == "expired" for why, _ in known) + min(cap, len(idle))
    assert sorted(v.case.cost.hourly_usd for v in intent.deferred) == sorted(idle)[: max(0, len(idle) - cap)]


@MANY
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["running", "stopped", "terminated", "unseen", "unknown"]), st.integers(0, 9)
        ),
        max_size=12,
    )
)
def test_runs_never_overlap_whatever_ec2_answers(looks: list[tuple[str, int]]) -> None:
    """No second is billed twice, none before the lease, none after now."""
    its, now, started = lease(runs=()), START, START
    for state, restarted in looks:
        now += minutes(3)
        started = now - minutes(1) if restarted == 0 else started
        seen = (
            [] if state == "unseen" else [box(state=state, launched_at=None if restarted == 1 else started)]
        )
        its = track(its, sight(*seen), now)
        spans = [(one.started_at, one.ended_at or now) for one in its.runs]
        assert all(START <= begin <= end <= now for begin, end in spans)
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
        assert sum(one.ended_at is None for one in its.runs) <= 1
    assert its.instance_ids == (BOX,)


# -- any order of mishaps --------------------------------------------------------------------------------------------------


CALLS = ["observe", "cancel_spot_requests", "terminate", "launch", "find_launched", "volumes", "regions"]
WRITES = ["save_lease", "open_lease", "close_lease", "record_sweep", "rehold", "open_leases", "budgets"]
mishaps = st.one_of(
    st.tuples(st.just("pass"), st.integers(1, 40)),
    st.tuples(st.just("launch"), st.sampled_from([RequestType.ONE_TIME, RequestType.PERSISTENT])),
    st.tuples(st.just("start"), st.sampled_from(["on-demand", "one-time", "persistent"])),
    st.tuples(st.just("fail"), st.tuples(st.sampled_from(CALLS), st.integers(1, 4), st.booleans())),
    st.tuples(
        st.just("die"), st.tuples(st.sampled_from(CALLS + WRITES), st.sampled_from(["before", "after"]))
    ),
    st.tuples(st.just("kill"), st.integers(0, 5)),
    st.tuples(st.just("interrupt"), st.integers(0, 5)),
    st.tuples(st.just("hide"), st.integers(0, 5)),
    st.tuples(st.just("show"), st.none()),
    st.tuples(st.just("event"), st.integers(0, 5)),
    st.tuples(st.just("delete"), st.integers(0, 5)),
    st.tuples(st.just("budget"), st.integers(20, 60)),
    st.tuples(st.just("stop"), st.integers(0, 5)),
    st.tuples(st.just("rehearse"), st.integers(1, 20)),
    st.tuples(st.just("extend"), st.tuples(st.integers(0, 5), st.integers(1, 5))),
)


class Play:
    """A stage on which anything may happen, and what must hold at each call."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.stage.compute.on_call = self.watch
        self.stage.store.hook = self.step
        self.death: tuple[str, str] | None = None
        self.by_hand = False
        self.started_by_curfew: set[str] = set()

    def watch(self, when: str, call: Call) -> None:
        """No box of a persistent request is terminated while that could start another."""
        if when == "before" and call.operation == "terminate" and not self.by_hand:
            for one in call.ids:
                its = self.stage.compute.ec2.boxes[one]
                armed = self.stage.compute.ec2.requests.get(its.request_id or "")
                assert (
                    armed is None
                    or armed.type == "one-time"
                    or armed.state in {"cancelled", "closed", "failed"}
                ), f"{one} would come back"
        self.step(call.operation, when)

    def step(self, method: str, when: str) -> None:
        if self.death == (method, when):
            self.death = None
            raise Crash

    def do(self, act: Callable[[], object]) -> None:
        with suppress(Crash, CurfewError):
            act()

    def pick(self, number: int) -> str | None:
        known = [one.id for one in self.stage.compute.ec2.boxes.values() if one.state not in GONE]
        return known[number % len(known)] if known else None

    def happen(self, what: str, detail: object) -> None:
        getattr(self, what)(detail)

    def pass_(self, number: int) -> None:
        for _ in range(number):
            self.stage.clock.advance(MINUTE)
            self.do(self.stage.sweep)

    def launch(self, kind: RequestType) -> None:
        self.do(lambda: self.stage.launch(request_type=kind, lasts_for=2 * HOUR))

    def start(self, market: str) -> None:
        self.stage.compute.start(market=market)

    def fail(self, how: tuple[str, int, bool]) -> None:
        operation, times, takes_effect = how
        self.stage.compute.fail(operation, times=times, takes_effect=takes_effect)

    def die(self, where: tuple[str, str]) -> None:
        self.death = where

    def kill(self, number: int) -> None:
        self.by_hand = True
        victim = self.pick(number)
        if victim:
            self.stage.compute.ec2.terminate(REGION, victim)
        self.by_hand = False

    def interrupt(self, number: int) -> None:
        victim = self.pick(number)
        if victim and self.stage.box(victim).request_id and self.stage.box(victim).state not in AT_REST:
            self.stage.compute.ec2.interrupt(victim)

    def hide(self, number: int) -> None:
        victim = self.pick(number)
        if victim:
            self.stage.box(victim).is_hidden = True

    def show(self, _: None) -> None:
        for one in self.stage.compute.ec2.boxes.values():
            one.is_hidden = False

    def event(self, number: int) -> None:
        subject = self.pick(number)
        if subject:
            self.do(lambda: self.stage.sweep(subject))

    def delete(self, number: int) -> None:
        leases = self.stage.store.open_leases() if self.death is None else ()
        if leases:
            self.do(lambda: end_lease(self.stage.services, leases[number % len(leases)].id, by="ada"))

    def stop(self, number: int) -> None:
        victim = self.pick(number)
        if victim:
            self.stage.compute.ec2.stop(REGION, victim)

    def rehearse(self, number: int) -> None:
        self.stage.is_dry_run = True
        self.pass_(number)
        self.stage.is_dry_run = False

    def extend(self, how: tuple[int, int]) -> None:
        leases = self.stage.store.open_leases() if self.death is None else ()
        if leases:
            chosen = leases[how[0] % len(leases)].id
            length = how[1] * HOUR
            self.do(lambda: extend(self.stage.services, chosen, lasts_for=length, budget_usd=None, by="ada"))

    def budget(self, limit: int) -> None:
        self.do(lambda: self.stage.put_budget("team", limit, force=True))


@settings(max_examples=80)
@given(st.lists(mishaps, min_size=3, max_size=14))
def test_after_any_order_of_mishaps_everything_ends_and_the_books_balance(
    events: list[tuple[str, object]],
) -> None:
    """Crashes, lost answers, failing calls, kills by hand, boxes that hide: once it is over nothing runs, nothing can
    start, no lease is open, and every budget is down by exactly what its leases have cost."""
    play = Play()
    play.stage.put_policy(unleased={"for": "PT2H"})
    play.stage.put_budget(limit=1000)
    for what, detail in events:
        play.happen("pass_" if what == "pass" else what, detail)
    play.death = None
    play.stage.compute.mend()
    play.show(None)
    play.pass_(3)
    assert all(
        any(alive in its.instance_ids for its in play.stage.store.open_leases())
        or any(its.status == "requested" for its in play.stage.store.open_leases())
        for alive in [one.id for one in play.stage.compute.alive if one.state not in AT_REST]
    ), "a box runs without a lease"
    for _ in range(34):
        play.stage.clock.advance(10 * MINUTE)
        play.stage.sweep()
        play.stage.after(MINUTE)
    left_over = [one.id for one in play.stage.compute.alive if one.state not in AT_REST]
    assert left_over == []
    assert all(
        one.state == "disabled"
        for one in play.stage.compute.ec2.requests.values()
        if one.id in play.stage.armed
    )
    open_now = play.stage.store.open_leases()
    assert all(its.origin is Origin.ADOPTED for its in open_now)
    closed = play.stage.store.closed_leases(since=START - HOUR)
    costs = sum((its.final_usd or usd(0) for its in closed if its.charges), usd(0))
    held = sum((charge.amount_usd for its in open_now for charge in its.charges), usd(0))
    used = play.stage.store.budgets(START).states[0]
    assert abs(used.budget.limit_usd - used.left_usd - costs - held) < usd("0.001")
    ids = [notice.id for notice in play.stage.notifier.sent]
    assert len(ids) == len(set(ids))
