"""What goes on billing after a lease: Elastic IPs and disks, named with their price."""

from chalicelib.domain.notices import Kind
from chalicelib.domain.storage import Address, addresses_after
from tests.builders import HOUR, MINUTE, REGION, Stage, at, usd

MONTHLY = usd("3.65")


def test_an_elastic_ip_of_a_box_that_ends_is_named_with_what_it_costs_a_month() -> None:
    """Curfew did not make it, so it stays; the receipt and the message say so."""
    stage = Stage()
    lease = stage.launch(lasts_for=HOUR)
    stage.compute.ec2.elastic_ips["203.0.113.9"] = lease.instance_ids[0]
    stage.until(at("10:02"))
    (left,) = stage.receipt(lease.id).leftovers
    assert (left.address_id, left.ip, left.monthly_usd) == ("eipalloc-203.0.113.9", "203.0.113.9", MONTHLY)
    (told,) = stage.told(Kind.ENDED)
    assert "203.0.113.9, $3.65 a month" in told.lines[-1]


def test_one_that_was_taken_away_before_is_not() -> None:
    """As of the last look, once an hour."""
    stage = Stage()
    lease = stage.launch(lasts_for=3 * HOUR)
    stage.compute.ec2.elastic_ips["203.0.113.9"] = lease.instance_ids[0]
    stage.until(at("10:05"))
    del stage.compute.ec2.elastic_ips["203.0.113.9"]
    stage.until(at("12:02"))
    assert stage.receipt(lease.id).leftovers == ()


def test_an_elastic_ip_of_a_box_at_rest_is_metered_and_warned_of() -> None:
    """$0.005 an hour, in its lease and in the message of what a month costs."""
    stage = Stage()
    box = stage.compute.start(state="stopped", ended_at=at("09:00"), public_ip=None)
    stage.compute.ec2.elastic_ips["203.0.113.9"] = box
    for _ in range(25):
        stage.after(HOUR)
    (told,) = stage.told(Kind.WARNED)
    assert "$7.25 a month" in told.title  # 45 GiB of gp3 and an address
    lease = stage.only_lease()
    stage.compute.terminate(REGION, [box])
    stage.until(stage.clock.now() + 8 * MINUTE)
    cost = stage.receipt(lease.id).public_ipv4_usd
    assert usd("0.005") * 24 <= cost <= usd("0.005") * 25
    assert [one.ip for one in stage.receipt(lease.id).leftovers] == ["203.0.113.9"]


def test_addresses_that_do_not_answer_are_lacking_and_keep_no_volume_from_being_learned() -> None:
    """Asked again each minute or hour, as the volumes are."""
    stage = Stage()
    lease = stage.launch()
    stage.compute.fail("addresses", times=1)
    record = stage.sweep()
    assert any(line.startswith("DescribeAddresses us-east-1") for line in record.lacking)
    assert stage.lease(lease.id).volumes


def test_a_look_follows_each_address_from_box_to_box() -> None:
    """Kept where it is, ended where it is not, and begun anew; boxes that were not looked at keep theirs."""

    def address(ip: str, owner: str, hour: int = 0, until: int | None = None) -> Address:
        ended = None if until is None else at("09:00") + until * HOUR
        return Address(id=ip, ip=ip, instance_id=owner, since=at("09:00") + hour * HOUR, until=ended)

    known = (address("a", "i-1"), address("b", "i-1"), address("c", "i-2"))
    seen = (address("a", "i-1", 5), address("b", "i-3", 5))
    after = addresses_after(known, seen, of=("i-1", "i-3"), now=at("14:00"))
    assert after == (
        address("a", "i-1"),
        address("b", "i-1", until=5),
        address("c", "i-2"),
        address("b", "i-3", 5),
    )
    back = addresses_after(after, (address("b", "i-1", 6),), of=("i-1",), now=at("09:00") + 6 * HOUR)
    assert back[-1] == address("b", "i-1", 6)
