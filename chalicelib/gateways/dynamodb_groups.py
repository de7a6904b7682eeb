"""Which security groups Curfew has made, an item each: written before the group is made, removed once it is gone."""

from chalicelib.domain.network import GroupRecord
from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways.dynamodb_records import Records
from chalicelib.gateways.dynamodb_table import Key, Write

GROUPS = "GROUPS"
PATIENCE_SECONDS = 5.0
"""A launch waits for it, and nothing is held yet."""


class GroupRecords(Records):
    """Written under the group's lock, so that no two writers meet."""

    def group_records(self) -> tuple[GroupRecord, ...]:
        """All that are known, by region, VPC and name. Raises Unavailable."""
        items = self._table.query("pk = :groups", {":groups": GROUPS}, patience=PATIENCE_SECONDS)
        return tuple(codec.read(GroupRecord, item) for item in items)

    def keep_group_record(self, record: GroupRecord) -> None:
        """Keep it in place of what was known of that group. Raises Unavailable."""
        put = Write(operation="Put", key=_key(record), item=codec.document(record))
        self._table.commit([put], patience=PATIENCE_SECONDS)

    def drop_group_record(self, record: GroupRecord) -> None:
        """The group is gone. Raises Unavailable."""
        self._table.commit([Write(operation="Delete", key=_key(record))], patience=PATIENCE_SECONDS)


def _key(record: GroupRecord) -> Key:
    return GROUPS, f"{record.region}#{record.vpc_id}#{record.name}"
