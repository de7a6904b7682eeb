"""Security groups of Curfew's own: made for a launch or by a call, found again, told of, and tidied away."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.errors import NotFound, Refused, Unavailable
from chalicelib.domain.lease import Lease
from chalicelib.domain.network import Opening, Rule, SecurityGroup, group_name
from chalicelib.domain.notices import Kind
from chalicelib.usecases import network, security_groups
from tests.builders import HOUR, MINUTE, REGION, Stage, at, order
from tests.doubles.accidents import Crash
from tests.doubles.memory_security_groups import DEFAULT_VPC, MemorySecurityGroups
from tests.unit.web_kit import ADMIN, LAUNCH, World, open_world

MINE = Opening(cidr="203.0.113.7/32")
NAME = "curfew ada 203.0.113.7/32 22"
GIVEN = SecurityGroup(id="sg-given", name="team", region=REGION, vpc_id=DEFAULT_VPC)


@pytest.fixture
def groups() -> MemorySecurityGroups:
    return MemorySecurityGroups()


@pytest.fixture
def stage(groups: MemorySecurityGroups) -> Stage:
    return Stage(security_groups=groups)


def own(lease: Lease) -> str:
    assert lease.order is not None
    assert lease.order.own_group_id is not None
    return lease.order.own_group_id


def at_most_one(stage: Stage, groups: MemorySecurityGroups) -> bool:
    return len(groups.names) <= 1 and stage.store.open_leases() == () and stage.alive == []


class TestLaunch:
    """A launch with ssh_from."""

    def test_it_starts_in_a_group_that_opens_just_that(
        self, stage: Stage, groups: MemorySecurityGroups
    ) -> None:
        """The group is in the lease's record, and in what EC2 is sent."""
        lease = stage.launch(opening=replace(MINE, ports=(22, 8888)), security_group_ids=())
        (group,) = groups.state.groups.values()
        assert (group.id, group.name) == (own(lease), "curfew ada 203.0.113.7/32 22,8888")
        assert {(one.first_port, one.last_port, one.source) for one in group.rules} == {
            (22, 22, MINE.cidr),
            (8888, 8888, MINE.cidr),
        }
        assert stage.lease(lease.id).order == replace(lease.order, own_group_id=group.id)  # type: ignore[type-var]

    def test_the_next_one_from_there_shares_it(self, stage: Stage, groups: MemorySecurityGroups) -> None:
        """Another address has another, and so has another owner."""
        first, second = stage.launch(opening=MINE), stage.launch(opening=MINE)
        assert own(first) == own(second)
        far, theirs = (
            stage.launch(opening=Opening(cidr="198.51.100.0/24")),
            stage.launch(opening=MINE, owner="bob"),
        )
        assert len({own(first), own(far), own(theirs)}) == len(groups.names) == 3

    def test_two_at_once_end_with_one(self, stage: Stage, groups: MemorySecurityGroups) -> None:
        """Whoever comes second finds the name taken, and the rule there."""
        groups.put(replace(GIVEN, id="sg-first", name=NAME, is_tagged=True, owner="ada"))
        meant = list(groups.state.groups.values())
        groups.state.groups.clear()

        def rival(method: str, phase: str) -> None:
            if (method, phase) == ("make", "before"):
                groups.hook = lambda *_: None
                groups.put(meant[0])

        groups.hook = rival
        lease = stage.launch(opening=MINE)
        assert own(lease) == "sg-first"
        assert groups.names == [NAME]

    @pytest.mark.parametrize("method", ["default_vpc", "named", "make", "open"])
    @pytest.mark.parametrize("after", [False, True])
    def test_a_silent_ec2_launches_nothing_and_holds_nothing(
        self, stage: Stage, groups: MemorySecurityGroups, method: str, *, after: bool
    ) -> None:
        """The same call again ends with one group."""
        stage.put_budget(limit="100")
        groups.inject(method, Unavailable("no answer"), after=after)
        with pytest.raises(Unavailable, match="nothing was launched"):
            stage.launch(key="k", opening=MINE)
        assert at_most_one(stage, groups)
        assert stage.left() == 100
        assert own(stage.launch(key="k", opening=MINE))
        assert groups.names == [NAME]

    def test_a_refused_group_launches_nothing_and_holds_nothing(
        self, stage: Stage, groups: MemorySecurityGroups
    ) -> None:
        """EC2's reason is told."""
        groups.inject("make", Refused("quota", slug="security-group-refused"))
        with pytest.raises(Refused, match="quota"):
            stage.launch(opening=MINE)
        assert at_most_one(stage, groups)

    @pytest.mark.parametrize("method", ["named", "make", "open"])
    @pytest.mark.parametrize("after", [False, True])
    def test_a_process_that_dies_there_leaves_nothing_that_stays(
        self, stage: Stage, groups: MemorySecurityGroups, method: str, *, after: bool
    ) -> None:
        """What was made is known by its record and tidied away."""
        groups.inject(method, Crash(), after=after)
        with pytest.raises(Crash):
            stage.launch(opening=MINE)
        assert stage.store.open_leases() == ()
        stage.until(at("10:10"))
        assert groups.names == []
        assert stage.store.group_records() == ()

    @pytest.mark.parametrize("method", ["lock", "group_records", "keep_group_record", "unlock", "open_lease"])
    @pytest.mark.parametrize("after", [False, True])
    def test_nor_does_one_that_dies_at_the_table(
        self, stage: Stage, groups: MemorySecurityGroups, method: str, *, after: bool
    ) -> None:
        """What it holds goes back, and the group goes."""
        stage.put_budget(limit="100")
        stage.store.inject(method, Crash(), after=after)
        with pytest.raises(Crash):
            stage.launch(opening=MINE)
        stage.until(at("10:10"))
        assert at_most_one(stage, groups)
        assert groups.names == []
        assert stage.store.group_records() == ()
        assert stage.left() == 100

    def test_ec2_may_need_a_moment_to_know_it(self, stage: Stage, groups: MemorySecurityGroups) -> None:
        """It is asked again, for some seconds."""
        groups.unknown_for = 2
        assert own(stage.launch(opening=MINE))
        assert stage.clock.slept == [1, 1]
        groups.unseen_for = 1
        stage.launch(opening=Opening(cidr="192.0.2.1/32"))
        assert stage.clock.slept == [1, 1, 1]
        groups.unknown_for = 9
        with pytest.raises(Unavailable, match="does not know it yet"):
            stage.launch(opening=Opening(cidr="198.51.100.0/24"))

    @pytest.mark.parametrize("method, made", [("default_vpc", 0), ("make", 1)])
    def test_an_ec2_that_takes_too_long_launches_nothing(
        self, stage: Stage, groups: MemorySecurityGroups, method: str, made: int
    ) -> None:
        """Late before the group there is none; late by it nothing is held."""

        def slow(called: str, phase: str) -> None:
            if (called, phase) == (method, "after"):
                stage.clock.sleep(9)

        groups.hook = slow
        with pytest.raises(Unavailable, match="took too long"):
            stage.launch(opening=MINE)
        assert len(groups.names) == made
        assert stage.store.open_leases() == ()

    def test_a_launch_that_no_budget_takes_makes_no_group(
        self, stage: Stage, groups: MemorySecurityGroups
    ) -> None:
        """Admission comes first."""
        stage.put_budget(limit="0.10")
        with pytest.raises(Refused):
            stage.launch(opening=MINE)
        assert groups.names == []

    def test_another_s_group_of_that_name_is_left_alone(
        self, stage: Stage, groups: MemorySecurityGroups
    ) -> None:
        """Without Curfew's tag it is neither used nor opened."""
        groups.put(replace(GIVEN, name=NAME))
        with pytest.raises(Refused, match="not Curfew's") as told:
            stage.launch(opening=MINE)
        assert told.value.slug == "security-group-differs"
        assert groups.state.groups["sg-given"].rules == ()

    def test_another_owner_s_name_is_taken(self, stage: Stage, groups: MemorySecurityGroups) -> None:
        """Even for the same address; neither its id nor what it opens is told."""
        ask = {"region": REGION, "name": "office"}
        made = security_groups.make(stage.services, MINE, owner="ada", **ask)
        stage.store.drop_group_record(made.record)
        for opening in (MINE, Opening(cidr="198.51.100.9/32")):
            for _ in range(2):
                with pytest.raises(Refused, match="of another owner") as told:
                    security_groups.make(stage.services, opening, owner="bob", **ask)
                assert (made.group.id in told.value.detail, told.value.extra) == (False, {})
                stage.store.keep_group_record(made.record)
        assert security_groups.make(stage.services, MINE, owner="ada", **ask).group.id == made.group.id
        assert groups.names == ["office"]

    def test_the_world_is_told_before_it_is_let_in(self, stage: Stage, groups: MemorySecurityGroups) -> None:
        """Who, for what, which ports; and nothing of an address that is somebody's."""
        stage.launch(opening=MINE)
        assert stage.told(Kind.OPEN_TO_WORLD) == []
        lease = stage.launch(opening=Opening(cidr="0.0.0.0/0", ports=(22, 80)))
        stage.sweep()
        (notice,) = stage.told(Kind.OPEN_TO_WORLD)
        assert "ada opens ports 22, 80 to 0.0.0.0/0" in notice.title
        assert lease.id in notice.lines[0]
        stage.store.inject("tell", Unavailable("no table"))
        with pytest.raises(Unavailable):
            stage.launch(opening=Opening(cidr="::/0"))
        assert len(groups.names) == 2

    def test_a_lock_that_is_held_is_waited_for(self, stage: Stage) -> None:
        """Not for long: then the caller asks again."""
        stage.store.lock(
            f"GROUP#{REGION}#{DEFAULT_VPC}#{NAME}", now=stage.clock.now(), hold_for=timedelta(minutes=5)
        )
        with pytest.raises(Unavailable, match="another call"):
            stage.launch(opening=MINE)
        assert stage.store.open_leases() == ()


class TestPlace:
    """Where a launch would start."""

    def test_the_group_is_made_in_the_subnet_s_vpc(self, stage: Stage, groups: MemorySecurityGroups) -> None:
        """Also where the region has no default one."""
        groups.without_vpc.add(REGION)
        groups.subnets[REGION, "subnet-1"] = "vpc-own"
        stage.launch(opening=MINE, subnet_id="subnet-1")
        assert [one.vpc_id for one in groups.state.groups.values()] == ["vpc-own"]
        with pytest.raises(Refused, match="create-default-vpc") as told:
            stage.launch(opening=MINE)
        assert told.value.slug == "no-default-vpc"

    def test_a_subnet_of_another_region_is_named(self, stage: Stage, groups: MemorySecurityGroups) -> None:
        """With the region that has it."""
        groups.subnets["eu-west-1", "subnet-1"] = "vpc-own"
        with pytest.raises(Refused, match="It is in eu-west-1") as told:
            stage.launch(subnet_id="subnet-1")
        assert (told.value.slug, told.value.extra["regions"]) == ("subnet-not-found", ["eu-west-1"])
        with pytest.raises(Refused, match="None was found"):
            stage.launch(subnet_id="subnet-2")
        assert stage.store.open_leases() == ()

    def test_named_groups_go_with_the_launch(self, stage: Stage, groups: MemorySecurityGroups) -> None:
        """If they are in its region and VPC."""
        groups.put(GIVEN)
        groups.put(replace(GIVEN, id="sg-far", vpc_id="vpc-far"))
        assert stage.launch(security_group_ids=("sg-given",)).order == order(security_group_ids=("sg-given",))
        with pytest.raises(Refused, match="no security group sg-none"):
            stage.launch(security_group_ids=("sg-given", "sg-none"))
        with pytest.raises(Refused, match="subnet of their VPC") as told:
            stage.launch(security_group_ids=("sg-given", "sg-far"))
        assert told.value.extra["security_group_ids"] == ["sg-far"]

    def test_what_ec2_does_not_tell_it_judges_at_the_launch(
        self, stage: Stage, groups: MemorySecurityGroups
    ) -> None:
        """Only a group that has to be made needs an answer first."""
        groups.inject("vpc_of", Unavailable("no answer"))
        assert stage.launch(subnet_id="subnet-1").order == order(subnet_id="subnet-1")
        groups.calls.clear()
        assert network.place_of(stage.services, order()) == network.Place()
        assert groups.calls == []


class TestTidying:
    """What becomes of a group that nothing uses."""

    def test_it_goes_after_its_last_lease(self, stage: Stage, groups: MemorySecurityGroups) -> None:
        """Not before, and not while a box is in it."""
        first = stage.launch(opening=MINE, lasts_for=HOUR)
        stage.launch(opening=MINE, lasts_for=2 * HOUR)
        stage.until(at("10:30"))
        assert stage.store.lease(first.id).closed_at  # type: ignore[union-attr]
        assert groups.names == [NAME]
        groups.used_by[own(first)] = ("i-somebody-s",)
        stage.until(at("11:30"))
        assert stage.store.open_leases() == ()
        assert groups.names == [NAME]
        groups.used_by.clear()
        stage.after(MINUTE)
        assert groups.names == []
        assert stage.store.group_records() == ()

    def test_that_of_a_refused_launch_goes(self, stage: Stage, groups: MemorySecurityGroups) -> None:
        """Within minutes."""
        stage.compute.fail("launch", code="InsufficientInstanceCapacity")
        with pytest.raises(Refused):
            stage.launch(opening=MINE)
        assert groups.names == [NAME]
        stage.after(6 * MINUTE)
        assert groups.names == []

    def test_only_what_has_tag_and_record_goes(self, stage: Stage, groups: MemorySecurityGroups) -> None:
        """A group that people tagged, or put in the place of Curfew's, stays."""
        tagged = replace(GIVEN, id="sg-tagged", name="tagged by hand", is_tagged=True)
        groups.put(tagged)
        stage.launch(opening=MINE, lasts_for=HOUR)
        (made,) = [one for one in groups.state.groups.values() if one.name == NAME]
        groups.put(replace(made, is_tagged=False))
        stage.until(at("11:30"))
        assert set(groups.names) == {"tagged by hand", NAME}
        assert stage.store.group_records() == ()

    def test_a_launch_that_comes_meanwhile_keeps_it(self, stage: Stage, groups: MemorySecurityGroups) -> None:
        """What is wanted again is not removed, nor what EC2 says is in use."""
        stage.launch(opening=MINE, lasts_for=HOUR)
        stage.until(at("10:00"))

        def come(method: str, phase: str) -> None:
            if (method, phase) == ("users", "after"):
                groups.hook = lambda *_: None
                stage.launch(opening=MINE, lasts_for=HOUR)

        groups.hook = come
        stage.until(at("10:20"))
        assert groups.names == [NAME]
        assert len(stage.alive) == 1

    def test_a_region_that_does_not_answer_is_told_and_keeps_no_other(
        self, stage: Stage, groups: MemorySecurityGroups
    ) -> None:
        """The next sweep tries again."""
        stage.launch(opening=MINE, lasts_for=HOUR)
        stage.until(at("10:20"))
        assert groups.names == []
        stage.launch(opening=MINE, lasts_for=HOUR)
        stage.until(at("11:20") - MINUTE)
        groups.put(replace(GIVEN, name=NAME, is_tagged=True))
        groups.inject("tagged", Unavailable("no answer"))
        told = [one for _ in range(10) for one in stage.after(MINUTE).lacking if "security groups" in one]
        assert len(told) <= 1

    def test_whoever_owns_it_sees_his_own(self, stage: Stage, groups: MemorySecurityGroups) -> None:
        """Of a group that somebody has put another's box into a launcher learns that it is in use, not by which."""
        lease = stage.launch(opening=MINE, owner="bob")
        groups.used_by[own(lease)] = ("i-ann-s",)
        stage.launch(opening=Opening(cidr="198.51.100.9/32"), owner="ann")
        (report,) = security_groups.groups(stage.services, REGION, only="bob")
        assert (report.is_in_use, report.leases, report.used_by) == (True, (lease.id,), ())
        assert len(security_groups.groups(stage.services, REGION)) == 2
        with pytest.raises(NotFound):
            security_groups.remove(stage.services, own(lease), region=REGION, only="ann")
        with pytest.raises(Refused, match=lease.id) as told:
            security_groups.remove(stage.services, own(lease), region=REGION, only="bob")
        assert "i-ann-s" not in told.value.detail

    @pytest.mark.parametrize("name", [NAME, NAME.upper(), "Curfew bob 203.0.113.7/32 22"])
    def test_nobody_takes_the_name_that_another_s_launch_will_want(
        self, stage: Stage, groups: MemorySecurityGroups, name: str
    ) -> None:
        """Else bob could keep ada from launching; his own he may ask for."""
        with pytest.raises(Refused, match="names that begin with 'curfew'"):
            security_groups.make(stage.services, MINE, region=REGION, owner="bob", name=name, only="bob")
        assert own(stage.launch(opening=MINE, owner="ada")) in groups.state.groups
        own_name = group_name(MINE, "bob")
        made = security_groups.make(stage.services, MINE, region=REGION, owner="bob", name=own_name)
        assert made.group.name == own_name

    def test_one_that_is_removed_while_it_is_answered_is_answered(
        self, stage: Stage, groups: MemorySecurityGroups
    ) -> None:
        """Another call was faster: what was made is told, and is there no more."""

        def hook(method: str, when: str) -> None:
            if (method, when) == ("unlock", "after") and groups.state.groups:
                stage.store.hook = lambda *_: None
                (group,) = groups.state.groups.values()
                security_groups.remove(stage.services, group.id, region=REGION)

        stage.store.hook = hook
        assert security_groups.make(stage.services, MINE, region=REGION, owner="ada").is_new
        assert groups.names == []

    def test_a_dry_run_removes_nothing(self, stage: Stage, groups: MemorySecurityGroups) -> None:
        """It would be an act."""
        stage.launch(opening=MINE, lasts_for=HOUR)
        stage.compute.ec2.boxes.clear()
        stage.is_dry_run = True
        stage.until(at("12:10"))
        assert groups.names == [NAME]


class TestHttp:
    """The routes, and a launch's answer."""

    @pytest.fixture
    def world(self, monkeypatch: pytest.MonkeyPatch, groups: MemorySecurityGroups) -> World:
        opened = open_world(monkeypatch)
        opened.put(security_groups=groups)
        return opened

    def test_me_is_who_calls(self, world: World) -> None:
        """The lease says what is open to whom."""
        lease = world.launched(ssh_from="me", ports=[8888])
        network = lease["network"]
        assert (network["ssh_from"], network["ports"], network["remark"]) == (
            "127.0.0.1/32",
            [22, 8888],
            None,
        )
        (group,) = world("GET", "/security-groups")[1]["items"]
        assert network["security_group_ids"] == [group["id"]]
        assert (group["in_use"], group["leases"]) == (True, [lease["id"]])

    def test_the_same_wish_is_one_whatever_its_order(self, world: World) -> None:
        """Under one key it is launched once."""
        key = {"Idempotency-Key": "k", **ADMIN}
        first, again = (
            world("POST", "/spot-requests", {**LAUNCH, "ssh_from": "me", "ports": ports}, key)
            for ports in ([8888, 6006], [6006, 8888, 6006])
        )
        assert (first[0], again[0]) == (201, 201)
        assert first[1]["id"] == again[1]["id"]

    def test_without_it_the_lease_says_what_that_means(self, world: World) -> None:
        """So that nobody wonders why ssh hangs."""
        network = world.launched()["network"]
        assert (network["ssh_from"], network["ports"], network["security_group_ids"]) == (None, [], [])
        assert "default security group" in network["remark"]

    @pytest.mark.parametrize(
        "more, slug",
        [
            ({"ssh_from": "0.0.0.0/0"}, "open-to-world"),
            ({"ssh_from": "1.2.3.4.5"}, "bad-address"),
            ({"ports": [8888]}, "bad-address"),
            ({"open_to_world": True}, "bad-address"),
            ({"subnet_id": "subnet-0abc"}, "subnet-not-found"),
            ({"security_group_ids": ["sg-0abc"]}, "security-group-not-found"),
        ],
    )
    def test_a_wish_that_can_t_be_granted_is_explained(
        self, world: World, groups: MemorySecurityGroups, more: dict[str, Any], slug: str
    ) -> None:
        """Also by a dry run."""
        for dry_run in (True, False):
            status, body = world("POST", "/spot-requests", {**LAUNCH, **more, "dry_run": dry_run})
            assert (status, body["type"]) == (409, f"/problems/{slug}")
        assert groups.names == []
        assert world.store.open_leases() == ()

    @pytest.mark.parametrize(
        "more", [{"ssh_from": "somebody"}, {"ports": [0]}, {"ports": ["22"]}, {"security_group_ids": ["x"]}]
    )
    def test_what_has_not_the_form_is_a_422(self, world: World, more: dict[str, Any]) -> None:
        """The field is named."""
        status, body = world("POST", "/spot-requests", {**LAUNCH, "ssh_from": "me", **more})
        assert (status, body["errors"][0]["field"].partition(".")[0].partition("[")[0]) == (
            422,
            next(iter(more)),
        )

    def test_a_group_is_made_once(self, world: World, groups: MemorySecurityGroups) -> None:
        """The second call answers it again."""
        body = {"ssh_from": "203.0.113.7", "name": "office"}
        (first, made), (second, same) = (world("POST", "/security-groups", body) for _ in range(2))
        assert (first, second) == (201, 200)
        assert made["id"] == same["id"]
        assert (made["name"], made["vpc_id"], made["ssh_from"], made["ports"], made["in_use"]) == (
            "office",
            DEFAULT_VPC,
            "203.0.113.7/32",
            [22],
            False,
        )
        status, problem = world("POST", "/security-groups", {**body, "ssh_from": "198.51.100.9"})
        assert (status, problem["type"]) == (409, "/problems/security-group-differs")
        assert world("GET", "/security-groups?region=eu-west-1")[1]["items"] == []
        assert groups.names == ["office"]

    def test_a_group_that_was_asked_for_waits_a_day_for_its_launch(
        self, stage: Stage, groups: MemorySecurityGroups, world: World
    ) -> None:
        """Counted from when it was last wanted."""
        world.put(store=stage.store, clock=stage.clock)
        made = world("POST", "/security-groups", {"ssh_from": "203.0.113.7"})[1]
        stage.after(23 * HOUR)
        stage.launch(security_group_ids=(made["id"],), lasts_for=HOUR)
        stage.after(20 * HOUR)
        assert groups.names == [made["name"]]
        stage.until(at("10:10", day=2))
        assert groups.names == []

    def test_one_that_nothing_uses_can_be_removed(self, world: World, groups: MemorySecurityGroups) -> None:
        """And only one of Curfew's."""
        lease = world.launched(ssh_from="me")
        (group_id,) = lease["network"]["security_group_ids"]
        status, problem = world("DELETE", f"/security-groups/{group_id}")
        assert (status, problem["type"]) == (409, "/problems/security-group-in-use")
        assert (problem["leases"], problem["used_by"]) == ([lease["id"]], [])
        groups.put(GIVEN)
        status, problem = world("DELETE", "/security-groups/sg-given")
        assert (status, problem["type"]) == (409, "/problems/security-group-in-use")
        assert world("DELETE", "/security-groups/sg-none")[0] == 404
        spare = world("POST", "/security-groups", {"ssh_from": "198.51.100.9"})[1]["id"]
        assert world("DELETE", f"/security-groups/{spare}?region=eu-west-1")[0] == 404
        groups.used_by[spare] = ("i-1",)
        assert world("DELETE", f"/security-groups/{spare}")[1]["used_by"] == ["i-1"]
        groups.used_by.clear()
        assert world.respond("DELETE", f"/security-groups/{spare}").status_code == 204
        assert spare not in groups.state.groups

    def test_a_group_is_made_in_the_vpc_that_is_named(
        self, world: World, groups: MemorySecurityGroups
    ) -> None:
        """By itself or by a subnet; both have to agree."""
        groups.subnets[REGION, "subnet-1"] = "vpc-1"
        ask = {"ssh_from": "me"}
        assert world("POST", "/security-groups", {**ask, "vpc_id": "vpc-2"})[1]["vpc_id"] == "vpc-2"
        assert world("POST", "/security-groups", {**ask, "subnet_id": "subnet-1"})[1]["vpc_id"] == "vpc-1"
        status, _ = world("POST", "/security-groups", {**ask, "subnet_id": "subnet-1", "vpc_id": "vpc-2"})
        assert status == 409

    def test_a_rehearsal_makes_none(self, world: World, groups: MemorySecurityGroups) -> None:
        """It says so."""
        world.put(is_dry_run=True)
        for method, path in (("POST", "/security-groups"), ("DELETE", "/security-groups/sg-1")):
            status, problem = world(method, path, {"ssh_from": "me"} if method == "POST" else None)
            assert (status, problem["type"]) == (409, "/problems/dry-run")
        assert groups.names == []

    def test_a_forwarded_address_is_nobody_s(self, world: World) -> None:
        """Whatever headers say, me is who opened the connection."""
        headers = {**ADMIN, "X-Forwarded-For": "198.51.100.9"}
        body = world("POST", "/security-groups", {"ssh_from": "me"}, headers)[1]
        assert body["ssh_from"] == "127.0.0.1/32"


def test_a_group_opened_further_is_not_launched_into(stage: Stage, groups: MemorySecurityGroups) -> None:
    """Neither is anything held."""
    lease = stage.launch(opening=MINE)
    group = groups.state.groups[own(lease)]
    wide = Rule(protocol="tcp", first_port=22, last_port=22, source="0.0.0.0/0")
    groups.put(replace(group, rules=(*group.rules, wide)))
    with pytest.raises(Refused, match="opens more"):
        stage.launch(opening=MINE)
    assert len(stage.store.open_leases()) == 1
