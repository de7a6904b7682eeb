"""What is set once or seldom: the policy with its version, the account's arming and first sights."""

import logging
from datetime import datetime
from typing import Any

from chalicelib.domain.errors import Stale
from chalicelib.domain.policy import Policy
from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways.dynamodb_records import Records, new_write_id
from chalicelib.gateways.dynamodb_table import Key, Write
from chalicelib.ports import Account, FirstSight

POLICY: Key = ("POLICY", "POLICY")
ACCOUNT = "ACCOUNT"
ARMED: Key = (ACCOUNT, "ARMED")
REGION = "REGION#"

log = logging.getLogger(__name__)


class SettingRecords(Records):
    """The policy and the account."""

    def policy(self) -> tuple[Policy, int]:
        """The policy and its version; the defaults, version 0, when nothing was put."""
        item = self._table.get(POLICY)
        if not item:
            return Policy(), 0
        version = int(str(item["policy_version"]))
        policy = Policy.from_stored(codec.read(dict[str, Any], item))
        if policy.not_understood:
            names = ", ".join(policy.not_understood)
            log.warning("version %d of the policy has what this Curfew does not know: %s", version, names)
        return policy, version

    def put_policy(self, policy: Policy, *, if_version: int | None) -> int:
        """Replace it; the new version. Without `if_version` whatever stands there is replaced. Raises Stale."""
        while True:
            item = self._table.get(POLICY) if if_version is None else None
            over = if_version if if_version is not None else int(str(item["policy_version"])) if item else 0
            try:
                return self._replace_policy(policy, over)
            except Stale:
                if if_version is not None:
                    raise

    def _replace_policy(self, policy: Policy, over: int) -> int:
        write_id = new_write_id()
        put = Write(
            operation="Put",
            key=POLICY,
            item={"policy_version": over + 1, "write_id": write_id, **codec.document(policy)},
            condition="policy_version = :over" if over else "attribute_not_exists(pk)",
            values={":over": over} if over else {},
            refusal=Stale(f"the policy is no longer at version {over}; nothing was written. Read it again"),
        )
        self._table.commit([put], trace=(POLICY, write_id))
        return over + 1

    def account(self) -> Account:
        """First sights by region, and since when the account is armed."""
        items = {str(item["sk"]): item for item in self._table.query("pk = :account", {":account": ACCOUNT})}
        armed = items.pop(ARMED[1], None)
        return Account(
            first_sights={
                key.removeprefix(REGION): codec.read(FirstSight, item) for key, item in items.items()
            },
            armed_at=datetime.fromisoformat(str(armed["armed_at"])) if armed else None,
        )

    def record_first_sight(self, region: str, sight: FirstSight) -> None:
        """Keep a region's first sight; a second one changes nothing."""
        self._once(Write(operation="Put", key=(ACCOUNT, f"{REGION}{region}"), item=codec.document(sight)))

    def arm(self, at: datetime) -> None:
        """Arm the account; once armed it stays so since the first time."""
        self._once(Write(operation="Put", key=ARMED, item={"armed_at": codec.stamp(at)}))

    def _once(self, put: Write) -> None:
        first = Write(
            operation=put.operation,
            key=put.key,
            item=put.item,
            condition="attribute_not_exists(pk)",
            group="once",
        )
        self._table.commit([first])
