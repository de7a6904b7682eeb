"""The Store on one DynamoDB table.

| pk | sk | what stands there |
| --- | --- | --- |
| OPEN | lease id | an open lease; view LEASES by `requested_at` |
| LEASE#id | LEASE | a closed lease; the same view |
| LEASE#id | SETTLED#number | that more than 80 of its periods were settled, once |
| CLOSED | closed_at#id | the id of a closed lease, so that those closed since a moment are one query |
| BUDGETS | CATALOGUE | every budget's definition, and the revision of them all |
| BUDGET#name[#generation] | period | `used_usd`: holds of open leases and costs of closed ones |
| RECEIPT#lease | RECEIPT | how a lease ended; view RECEIPTS by `decided_at` |
| SWEEPS | started_at#id | what a sweep saw and did; vanishes after 30 days |
| OUTBOX | at#notice | a notice not sent yet: `due_at`, `claimed_until`, `tries` |
| CHANNELS | SLACK | since when Slack fails, and why; gone once it takes a message |
| NOTICE#id | NOTICE | that a notice was told; vanishes after 40 days |
| BILL | day | what Cost Explorer told of a day; vanishes after 14 months |
| BILLS | TURN | when Cost Explorer was asked last, and how that went |
| CALL#id | CALL | a call under an Idempotency-Key and its answer; vanishes after a day |
| EVIDENCE | LEARNED, LEARNED#nnn | what CloudWatch last answered, 500 leases an item |
| HEARD | instance id | what a box told of its work; vanishes a day after its last report |
| GROUPS | region#vpc#name | a security group of Curfew's own; gone once it is |
| GUARD | month | what Curfew's own calls add up to |
| REGIONS | DENIED | the regions that AWS denied, and when |
| TURNS | IDLE#minute | how many idle boxes were ended in it; vanishes after a day |
| LOCKS | name | who acts on a controller: `held_until`, `fence` |
| POLICY | POLICY | the policy and its version |
| PRICES | REGION#name | list prices of a region, as the Pricing API told them |
| SPOT | REGION#name | spot prices of a region's open pools, as EC2 told them |
| RESERVATIONS | LOOK | capacity that was reserved and unused at the last look |
| TYPES | KNOWN | what EC2 said of instance types that the table of families does not have |
| TOKENS | id | a token: its hash, owner and role; vanishes 400 days after it is over |
| WRONG_TOKENS | day | how many wrong tokens were sent; vanishes after 40 days |
| AUDIT | at#id | a change, by whom, and what came of it; vanishes after 400 days |
| ACCOUNT | ARMED, REGION#name | since when it is armed; what ran in a region at first sight |

A document stands in `doc` as JSON (`doc_deflated` where it is long); other attributes are what conditions, filters and
keys need. The index `view` serves lists alone. Only `expires_epoch` makes an item vanish.

What is kept of a budget is what is used, not what is left: a launch adds its hold under the condition
`used_usd <= limit - hold` and checks in the same transaction that the definitions are still at the revision it read the
limit from. So a limit changes by one write, whatever the number of periods, and no launch is judged by an old one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from chalicelib.gateways.dynamodb_audit import AuditRecords
from chalicelib.gateways.dynamodb_bills import BillRecords
from chalicelib.gateways.dynamodb_calls import CallRecords
from chalicelib.gateways.dynamodb_groups import GroupRecords
from chalicelib.gateways.dynamodb_guard import GuardRecords
from chalicelib.gateways.dynamodb_heard import HeardRecords
from chalicelib.gateways.dynamodb_leases import LeaseRecords
from chalicelib.gateways.dynamodb_prices import PriceRecords
from chalicelib.gateways.dynamodb_settings import SettingRecords
from chalicelib.gateways.dynamodb_table import Table
from chalicelib.gateways.dynamodb_tokens import TokenRecords
from chalicelib.gateways.dynamodb_turns import TurnRecords
from chalicelib.gateways.dynamodb_types import TypeRecords

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoStore(
    LeaseRecords,
    AuditRecords,
    BillRecords,
    CallRecords,
    GroupRecords,
    GuardRecords,
    HeardRecords,
    SettingRecords,
    PriceRecords,
    TypeRecords,
    TokenRecords,
    TurnRecords,
):
    """Implements chalicelib.ports.Store, TokenBook and AuditTrail, and keeps prices. A call may raise Unavailable,
    after 20 s of trying."""

    def __init__(
        self,
        client: Callable[[], DynamoDBClient],
        table: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(Table(client, table, sleep=sleep, elapsed=elapsed))
