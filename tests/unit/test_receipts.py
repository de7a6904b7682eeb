"""What a receipt says beside its proof: what the end has saved, and the call that brings the box back."""

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.images import AVAILABLE, SavedImage
from chalicelib.domain.lease import MadeOf, OnEnd, RequestType
from chalicelib.domain.policy import Policy
from chalicelib.domain.relaunch import relaunch
from chalicelib.domain.storage import Volume
from chalicelib.usecases.end import end_lease
from chalicelib.web.launch_body import LaunchBody
from chalicelib.web.launches import NOT_CARRIED, carried, order_of
from tests.builders import AMI, BOX, HOUR, REGION, TYPE, Stage, adopted, at, lease, order, usd
from tests.doubles.memory_ports import START
from tests.unit.web_kit import LAUNCH, World, logged, open_world

EVERY_FIELD: dict[str, Any] = {
    "instance_types": ["g5.xlarge", "g4dn.xlarge"],
    "gpu": {"count": 1, "memory_gib": 16},
    "image": "deep-learning",
    "request_type": "persistent",
    "region": "us-west-2",
    "key_name": "laptop",
    "subnet_id": "subnet-0abc",
    "ssh_from": "203.0.113.7",
    "ports": [8888],
    "open_to_world": True,
    "security_group_ids": ["sg-0abc"],
    "hours": "1.5",
    "budget_usd": "2.5",
    "max_price_usd_per_hour": "0.4",
    "volume_gib": 200,
    "egress_gb": 10,
    "target_capacity": 2,
    "project": "lab",
    "on_end": "image",
    "idle": {"after": "PT20M"},
    "user_data": "#!/bin/sh\nexport TOKEN=hush",
    "instance_profile": "trainer",
    "sync_from": {"path": "birds", "folder": "/data"},
    "sync_to": {"folder": "/output"},
    "rclone": "/curfew/rclone/ada/drive",
    "dry_run": True,
}
ALONG = {"ports": {"ssh_from": "me"}, "open_to_world": {"ssh_from": "0.0.0.0/0"}}
"""An example of each field of a launch, and what a field can't be without. A new field needs one here: its receipt then has to carry it, or
`NOT_CARRIED` to name it."""


def image(**facts: Any) -> SavedImage:
    return SavedImage(
        **{
            "id": "ami-0saved",
            "region": REGION,
            "image_of": f"lease-1/{BOX}",
            "owner": "ada",
            "name": "lab",
            "state": AVAILABLE,
            "gib": 100,
            **facts,
        }
    )


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return open_world(monkeypatch)


@pytest.mark.parametrize("name", LaunchBody.model_fields)
def test_every_field_of_a_launch_is_carried_or_named_as_not(name: str) -> None:
    """A field that a launch takes and its receipt forgets would bring another box back."""
    assert name in EVERY_FIELD, f"give an example of {name} in EVERY_FIELD"
    base = {key: value for key, value in LAUNCH.items() if (key, name) != ("instance_types", "gpu")}
    body = LaunchBody.model_validate({**base, **ALONG.get(name, {}), name: EVERY_FIELD[name]})
    kept = carried(body)
    assert (name in kept) is (name not in NOT_CARRIED)
    assert kept.get(name, EVERY_FIELD[name]) == EVERY_FIELD[name]


def test_the_call_of_a_launch_makes_the_same_order_again() -> None:
    """Also once the policy's and the home region's defaults have changed."""
    left_out = {"region", "hours", "gpu", "open_to_world"}
    sent = {name: EVERY_FIELD[name] for name in set(EVERY_FIELD) - left_out}
    ordered = order_of(LaunchBody.model_validate(sent), policy=Policy(), home_region="eu-west-1")
    told = relaunch(lease(order=ordered))
    assert told is not None
    other = Policy.model_validate({"lease": {"default_for": "PT1H"}})
    again = order_of(LaunchBody.model_validate(told.body), policy=other, home_region="us-east-1")
    assert again.user_data is None
    for name in ("instance_types", "image", "region", "lasts_for", "key_name", "volume_gib", "on_end"):
        assert getattr(again, name) == getattr(ordered, name)
    assert again.asked == {**ordered.asked, "region": "eu-west-1", "hours": "8"}


def test_a_launch_comes_back_by_what_its_receipt_says(world: World) -> None:
    """The body is sent as it stands; nothing of user data is in a receipt."""
    first = world.launched(key_name=None, project="lab", user_data="#!/bin/sh\nexport TOKEN=hush", hours=2)
    _, receipt = world("DELETE", f"/leases/{first['id']}")
    call = receipt["relaunch"]
    assert (call["method"], call["path"]) == ("POST", "/spot-requests")
    assert call["body"] == {
        "instance_types": ["g5.xlarge"],
        "image": LAUNCH["image"],
        "region": "us-east-1",
        "request_type": "one-time",
        "hours": "2",
        "project": "lab",
    }
    assert any("user_data is not repeated" in remark for remark in call["remarks"])
    assert "hush" not in str(receipt)
    status, again = world(call["method"], call["path"], call["body"])
    assert (status, again["project"]) == (201, "lab")


def test_a_saved_box_comes_back_from_its_image() -> None:
    """By the image's id, since its name goes on to the next one; its disk is as large as it was."""
    ordered = order(volume_gib=50, asked={"image": "deep-learning", "volume_gib": 50, "on_end": "image"})
    told = relaunch(lease(order=ordered, images=(image(state="pending", id="ami-0late"), image())))
    assert told is not None
    assert told.body["image"] == "ami-0saved"
    assert "volume_gib" not in told.body
    assert any("mine:lab" in remark for remark in told.remarks)
    assert any("ami-0late" in remark for remark in told.remarks)
    told = relaunch(lease(order=ordered, images=(image(state="pending"),)))
    assert told is not None
    assert any("was pending" in remark for remark in told.remarks)


def test_what_was_saved_while_it_ran_is_better_than_nothing() -> None:
    """The newest of it, where its end saved nothing; the call says from when it is."""
    live = f"lease-1/{BOX}/live"
    early, late = (
        image(id=name, image_of=live, created_at=at(when))
        for name, when in (("ami-1", "10:00"), ("ami-2", "11:00"))
    )
    told = relaunch(lease(images=(early, late)))
    assert told is not None
    assert told.body["image"] == "ami-2"
    assert any("11:00" in remark for remark in told.remarks)
    told = relaunch(lease(images=(early, image(), late)))
    assert told is not None
    assert told.body["image"] == "ami-0saved"


def test_words_for_images_become_the_one_they_meant() -> None:
    """`deep-learning` is another image a month later."""
    ordered = order(image="deep-learning", asked={"image": "deep-learning"})
    told = relaunch(lease(order=ordered, made_of=MadeOf(image_id=AMI)))
    assert told is not None
    assert told.body["image"] == AMI
    assert any("deep-learning meant then" in remark for remark in told.remarks)


def test_what_is_needed_is_asked_for_again_instead_of_types() -> None:
    """A launch by need is repeated by need."""
    told = relaunch(lease(order=order(asked={"gpu": {"count": 1}})))
    assert told is not None
    assert told.body["gpu"] == {"count": 1}
    assert "instance_types" not in told.body


def test_an_older_lease_says_that_not_all_was_kept() -> None:
    """What was stored before bodies were kept has types, image, region and time."""
    told = relaunch(lease(order=order(on_end=OnEnd.IMAGE)))
    assert told is not None
    assert LaunchBody.model_validate(told.body).instance_types == (TYPE,)
    assert any("was not kept" in remark for remark in told.remarks)


@pytest.mark.parametrize(
    "kind, asked", [(RequestType.NONE, "one-time"), (RequestType.PERSISTENT, "persistent")]
)
def test_a_found_box_comes_back_as_far_as_it_is_known(kind: RequestType, asked: str) -> None:
    """With its type, image, key and only disk; what is not known is said."""
    found = adopted(
        request_type=kind,
        project="lab",
        made_of=MadeOf(instance_type=TYPE, image_id=AMI, key_name="laptop"),
        volumes=(Volume(id="vol-1", instance_id=BOX, type="gp3", gib=80, since=START),),
    )
    told = relaunch(found)
    assert told is not None
    assert told.body == {
        "instance_types": [TYPE],
        "image": AMI,
        "region": REGION,
        "request_type": asked,
        "key_name": "laptop",
        "project": "lab",
        "volume_gib": 80,
    }
    assert LaunchBody.model_validate(told.body).instance_types == (TYPE,)
    assert any("has not launched this box" in remark for remark in told.remarks)
    assert any("asks for spot" in remark for remark in told.remarks) is (kind is RequestType.NONE)


def test_what_nobody_knows_is_no_call() -> None:
    """A request that never had a box has no type to ask for; an image that is not known is named as lacking."""
    assert relaunch(adopted(runs=(), made_of=None)) is None
    told = relaunch(adopted())
    assert told is not None
    assert "image" not in told.body
    assert any("add image" in remark for remark in told.remarks)


def test_a_found_box_s_receipt_has_its_call() -> None:
    """What EC2 shows of it at its adoption is kept for its end."""
    stage = Stage()
    box = stage.compute.start()
    stage.until(at("09:05"))
    found = stage.only_lease()
    assert found.made_of is not None
    assert found.made_of.instance_type == stage.box(box).type


def test_an_end_that_was_asked_for_says_what_it_saved() -> None:
    """What the rest of its time would have cost at its rate, within its hold; nothing is said while it goes on."""
    stage = Stage()
    begun = stage.launch(lasts_for=8 * HOUR)
    stage.until(at("10:00"))
    receipt = end_lease(stage.services, begun.id, by="ada")
    assert receipt.saved_usd is not None
    left = receipt.hold_usd - receipt.cost_usd
    assert 0 < receipt.saved_usd <= left
    hourly = usd(receipt.figures["hourly_usd"])
    assert receipt.saved_usd == min(hourly * 7, left)


def test_an_end_by_time_saves_nothing_that_is_known() -> None:
    """Nobody knows for how much longer it would have run."""
    stage = Stage()
    begun = stage.launch(lasts_for=HOUR)
    stage.works(begun.instance_ids[0], 90, since=START, until=START + HOUR)
    stage.until(at("10:10"))
    assert stage.receipt(begun.id).saved_usd is None


def test_receipts_are_filtered_by_time_owner_and_region(world: World) -> None:
    """What ended last night, whose, and where."""
    for hours in (20, 5, 1):
        lease_id = world.launched()["id"]
        world("DELETE", f"/leases/{lease_id}")
        world.clock.advance(timedelta(hours={20: 15, 5: 4, 1: 1}[hours]))
    everything = [one["id"] for one in world("GET", "/receipts")[1]["items"]]

    def told(query: str) -> list[str]:
        status, body = world("GET", f"/receipts?{query}")
        assert status == 200, body
        return [one["id"] for one in body["items"]]

    assert told("since=PT12H") == everything[:2]
    assert told("since=P1D") == everything
    assert told("since=PT12H&until=PT2H") == everything[1:2]
    assert told("until=PT12H") == everything[2:]
    assert told("since=2026-11-23T09:00:00Z&until=2026-11-23T09:00:01%2B00:00") == everything[2:]
    assert told("since=2026-11-23&until=2026-11-24") == everything[2:]
    assert told("since=2026-11-24") == everything[:2]
    assert told("owner=admin&region=us-east-1") == everything
    assert told("owner=bob") == told("region=eu-west-1") == []
    _, page = world("GET", "/receipts?since=P1D&limit=2")
    assert [one["id"] for one in page["items"]] == everything[:2]
    assert told(f"since=P1D&limit=2&cursor={page['next']}") == everything[2:]


@pytest.mark.parametrize(
    "query",
    [
        *("since=yesterday", "since=2026-02-30", "since=2027-02-29", "until=P1M", "until=PT", "since="),
        *("until=2026-11-23T25:00", "until=2026-11-23T10:00:00+01:00", "region=moon", "owner=", "by=ada"),
    ],
)
def test_a_bad_filter_names_its_field(world: World, query: str) -> None:
    """With a form that would do."""
    with logged():
        status, body = world("GET", f"/receipts?{query}")
    assert (status, body["errors"][0]["field"]) == (422, query.partition("=")[0])
