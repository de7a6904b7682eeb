"""Whom ports are opened to: what people send for an address, how broad it may be, and what a group of that name says."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.errors import Refused
from chalicelib.domain.network import (
    Opening,
    Rule,
    SecurityGroup,
    group_name,
    missing_rules,
    needs_address,
    opening,
    reach,
    rules_of,
)

MINE = Opening(cidr="203.0.113.7/32")
GROUP = SecurityGroup(id="sg-1", name="n", region="us-east-1", vpc_id="vpc-1")
NETWORKS = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.integers(0, 32)), st.tuples(st.ip_addresses(v=6), st.integers(0, 128))
)


@pytest.mark.parametrize(
    "sent, cidr",
    [
        ("203.0.113.7", "203.0.113.7/32"),
        ("203.0.113.7/32", "203.0.113.7/32"),
        ("203.0.113.7/24", "203.0.113.0/24"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("2001:DB8:0:0::1", "2001:db8::1/128"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ("me", "198.51.100.9/32"),
    ],
)
def test_an_address_is_taken_in_any_form(sent: str, cidr: str) -> None:
    """In the end it is the shortest one, as EC2 keeps it."""
    assert opening(sent, caller="198.51.100.9") == Opening(cidr=cidr, ports=(22,))


@pytest.mark.parametrize(
    "sent", ["203.0.113", "203.0.113.7/33", "300.1.1.1", "me!", "::1/129", "", "1.2.3.4/x"]
)
def test_what_is_no_address_is_refused(sent: str) -> None:
    """With forms that are taken."""
    with pytest.raises(Refused, match=r"nothing was opened.*203\.0\.113\.7") as told:
        opening(sent, caller=None)
    assert told.value.slug == "bad-address"


def test_me_is_nobody_where_the_address_is_not_known() -> None:
    """It is asked for."""
    with pytest.raises(Refused, match="Send it as a CIDR") as told:
        opening("me", caller=None)
    assert told.value.slug == "bad-address"


@pytest.mark.parametrize(
    "sent", ["0.0.0.0/0", "::/0", "128.0.0.0/1", "8.0.0.0/7", "2000::/3", "2001:d00::/24", "::/31"]
)
def test_the_world_is_opened_to_on_demand_alone(sent: str) -> None:
    """However it is put."""
    with pytest.raises(Refused, match="open_to_world: true") as told:
        opening(sent, caller=None)
    assert told.value.slug == "open-to-world"
    assert opening(sent, caller=None, open_to_world=True).is_wide


@given(NETWORKS, st.lists(st.integers(1, 65_535), max_size=20))
def test_nothing_broad_is_opened_unasked(network: tuple[object, int], ports: list[int]) -> None:
    """Whatever is sent, without open_to_world it is a /8 of IPv4 or a /32 of IPv6 at most, and port 22 is among its ports."""
    address, length = network
    is_broad = length < (8 if ip_network(f"{address}").version == 4 else 32)
    if is_broad:
        with pytest.raises(Refused, match="open_to_world"):
            opening(f"{address}/{length}", caller=None, ports=ports)
    found = opening(f"{address}/{length}", caller=None, ports=ports, open_to_world=is_broad)
    opened = ip_network(found.cidr)
    assert opened.prefixlen == length
    assert is_broad or opened.num_addresses <= (2**24 if opened.version == 4 else 2**96)
    assert set(found.ports) == {22, *ports}
    assert list(found.ports) == sorted(set(found.ports))
    assert 0 < len(group_name(found, "a" * 128)) <= 255


def test_the_same_wish_has_one_name() -> None:
    """Whatever the order of its ports, and another wish another one."""
    one, same = (
        opening("203.0.113.7", caller=None, ports=ports) for ports in ([8888, 6006], [6006, 22, 8888])
    )
    assert group_name(one, "ada") == group_name(same, "ada") == "curfew ada 203.0.113.7/32 22,6006,8888"
    assert group_name(MINE, "ada") != group_name(one, "ada")


def test_names_that_ec2_takes_for_one_are_told_apart() -> None:
    """It knows no capitals, and 255 letters at most."""
    owners = ["ada", "Ada", "ADA", "a" * 128, "A" * 128]
    long = [
        Opening(cidr="2001:db8:1111:2222:3333:4444:5555:6666/128", ports=(*range(60_000, 60_020), last))
        for last in (1, 2)
    ]
    names = [group_name(wanted, owner) for wanted in (MINE, *long) for owner in owners]
    assert len({name.lower() for name in names}) == len(names)
    assert max(map(len, names)) <= 255


@pytest.mark.parametrize("ports, named", [((8888,), "ports"), ((), "open_to_world")])
def test_ports_are_opened_to_somebody(ports: tuple[int, ...], named: str) -> None:
    """Without an address they would be ignored, so they are refused."""
    with pytest.raises(Refused, match=named) as told:
        needs_address(ports, open_to_world=not ports)
    assert told.value.slug == "bad-address"
    needs_address((), open_to_world=False)


def test_what_a_group_lacks_is_opened() -> None:
    """And no rule twice."""
    wanted = replace(MINE, ports=(22, 8888))
    ssh, jupyter = rules_of(wanted)
    assert missing_rules(GROUP, wanted) == (ssh, jupyter)
    assert missing_rules(replace(GROUP, rules=(ssh,)), wanted) == (jupyter,)
    assert missing_rules(replace(GROUP, rules=(jupyter, ssh)), wanted) == ()


@pytest.mark.parametrize(
    "rule",
    [
        Rule(protocol="tcp", first_port=22, last_port=22, source="0.0.0.0/0"),
        Rule(protocol="tcp", first_port=22, last_port=23, source=MINE.cidr),
        Rule(protocol="all protocols", first_port=None, last_port=None, source="sg-2"),
    ],
)
def test_a_group_that_was_opened_further_is_not_used(rule: Rule) -> None:
    """The rule is named, so that it can be taken out."""
    with pytest.raises(Refused, match=rule.source) as told:
        missing_rules(replace(GROUP, rules=(*rules_of(MINE), rule)), MINE)
    assert told.value.slug == "security-group-differs"


def test_people_learn_what_ssh_needs() -> None:
    """Where port 22 is not simply open to their address."""
    assert reach(MINE, has_groups=False) is None
    assert "default security group" in (reach(None, has_groups=False) or "")
    assert "named at its launch" in (reach(None, has_groups=True) or "")
    assert "IPv6" in (reach(Opening(cidr="2001:db8::/64"), has_groups=False) or "")
