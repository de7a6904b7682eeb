"""Which security groups Curfew has made, in both stores."""

from dataclasses import replace

from chalicelib.domain.network import GroupRecord
from chalicelib.ports import Store
from tests.contract.store_examples import MINUTE, NOW

FIRST = GroupRecord(
    region="eu-west-1",
    vpc_id="vpc-1",
    name="curfew 2001:db8::/64 22,8888",
    cidr="2001:db8::/64",
    ports=(22, 8888),
    owner="ann",
    wanted_at=NOW,
)
OTHER = replace(FIRST, vpc_id="vpc-2", is_asked=True)


def test_a_group_is_known_from_before_it_is_made_until_it_is_gone(store: Store) -> None:
    """One record for a region, VPC and name; the last one stands."""
    assert store.group_records() == ()
    store.keep_group_record(FIRST)
    store.keep_group_record(OTHER)
    later = replace(FIRST, wanted_at=NOW + MINUTE)
    store.keep_group_record(later)
    assert store.group_records() == (later, OTHER)
    store.drop_group_record(FIRST)
    store.drop_group_record(FIRST)
    assert store.group_records() == (OTHER,)
