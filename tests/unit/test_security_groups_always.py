"""What holds of Curfew's security groups whatever happens, and in any order: accidents at every call among it."""

from contextlib import suppress
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.errors import CurfewError, Unavailable
from chalicelib.domain.lease import Lease
from chalicelib.domain.network import Opening, Rule, group_name, rules_of
from chalicelib.usecases import end, security_groups
from tests.builders import HOUR, REGION, Stage
from tests.doubles.accidents import Crash
from tests.doubles.memory_security_groups import DEFAULT_VPC, MemorySecurityGroups

OPENINGS = [
    Opening(cidr="203.0.113.7/32"),
    Opening(cidr="203.0.113.7/32", ports=(22, 8888)),
    Opening(cidr="::/0"),
]
CALLS = {
    "groups": ["default_vpc", "named", "make", "open", "users", "tagged", "delete"],
    "store": [
        "lock",
        "unlock",
        "group_records",
        "keep_group_record",
        "drop_group_record",
        "open_lease",
        "tell",
    ],
}
ACCIDENTS = st.tuples(
    st.sampled_from([(where, method) for where, methods in CALLS.items() for method in methods]),
    st.sampled_from([Crash(), Unavailable("no answer")]),
    st.booleans(),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("launch"), st.sampled_from(OPENINGS)),
        st.tuples(st.just("ask"), st.sampled_from(OPENINGS)),
        st.tuples(st.just("end"), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.integers(1, 90)),
        st.tuples(st.just("accident"), ACCIDENTS),
    ),
    max_size=10,
)


def swept(stage: Stage, length: timedelta) -> None:
    """Some time later, at a minute in which every record is looked at."""
    stage.clock.advance(length)
    stage.clock.at = stage.clock.at.replace(minute=7) + HOUR
    for _ in range(3):
        with suppress(CurfewError, Crash):
            stage.sweep()
        stage.clock.advance(timedelta(seconds=55))


def act(stage: Stage, groups: MemorySecurityGroups, step: tuple[str, object], leases: list[Lease]) -> None:
    match step:
        case ("launch", Opening() as opening):
            leases.append(stage.launch(opening=opening, lasts_for=8 * HOUR))
        case ("ask", Opening() as opening):
            security_groups.make(stage.services, opening, region=REGION, owner="ada")
        case ("end", int() as which) if which < len(leases):
            end.end_lease(stage.services, leases[which].id, by="ada")
        case ("wait", int() as minutes):
            swept(stage, timedelta(minutes=minutes))
        case ("accident", ((where, method), error, after)):  # type: ignore[misc]
            (groups if where == "groups" else stage.store).inject(method, error, after=after)


@settings(max_examples=30)
@given(STEPS)
def test_nothing_is_open_that_nobody_asked_for_and_nothing_stays(steps: list[tuple[str, object]]) -> None:
    """A group opens what its name says, or less; there is one of each; the box of an open lease never loses its own;
    and once all leases are over and a day has passed there are neither groups nor records."""
    groups = MemorySecurityGroups()
    other = Rule(protocol="tcp", first_port=22, last_port=22, source="198.51.100.0/24")
    stage, leases = Stage(security_groups=groups), list[Lease]()
    foreign = groups.make(REGION, vpc_id=DEFAULT_VPC, name="somebody's, tagged", cidr="x", owner="bob")
    assert foreign is not None
    groups.open(REGION, foreign, [other])
    asked = {group_name(one, "ada"): set(rules_of(one)) for one in OPENINGS} | {"somebody's, tagged": {other}}
    for step in steps:
        with suppress(CurfewError, Crash):
            act(stage, groups, step, leases)
        assert all(set(group.rules) <= asked[group.name] for group in groups.state.groups.values())
        assert len(set(groups.names)) == len(groups.names)
        for lease in stage.store.open_leases():
            assert lease.order is not None
            assert lease.order.own_group_id in groups.state.groups
    for _ in range(14):  # each accident happens once
        swept(stage, 5 * HOUR)
    assert stage.store.open_leases() == ()
    assert groups.names == ["somebody's, tagged"]
    assert stage.store.group_records() == ()
