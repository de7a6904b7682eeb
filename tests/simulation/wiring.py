"""Curfew as bootstrap makes it, on a localaws in this process: its real gateways, and a mailbox that people read."""

from __future__ import annotations

from typing import Any

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.notices import Notice
from chalicelib.gateways.aws import Aws
from chalicelib.gateways.clock import SystemClock
from chalicelib.gateways.cloudtrail import CloudTrail
from chalicelib.gateways.cloudwatch import CloudWatchMetrics
from chalicelib.gateways.cost_explorer import CostExplorerBills
from chalicelib.gateways.dynamodb import DynamoStore
from chalicelib.gateways.ec2 import Ec2Compute
from chalicelib.gateways.ledger import MemoryLedger
from chalicelib.gateways.pricing import Ec2Prices
from chalicelib.gateways.scheduler import SchedulerTimers
from chalicelib.ports import Services
from localaws.world import World

EXPIRE = "expire"
"""The function that timers call."""
ROLE_ARN = "arn:aws:iam::123456789012:role/curfew-timers"
EXPIRE_ARN = f"arn:aws:lambda:us-east-1:123456789012:function:{EXPIRE}"


class Mailbox:
    """Where people read; it can be closed."""

    is_configured = True

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.is_open = True

    def send(self, notice: Notice) -> None:
        """Keep it, or fail as Slack does when it is down."""
        if not self.is_open:
            raise Unavailable("the mailbox is closed")
        self.notices += notice.parts or [notice]


def wired(world: World, session: Any, table: str, *, ledger: MemoryLedger, notifier: Mailbox) -> Services:
    """Armed, over all regions of the world; every call of it goes by one session of boto3's."""
    aws = Aws(world.home_region, session=session._session, ledger=ledger)
    store = DynamoStore(lambda: aws.client("dynamodb", aws.home_region), table, sleep=lambda _: None)
    return Services(
        clock=SystemClock(),
        compute=Ec2Compute(aws),
        metrics=CloudWatchMetrics(aws),
        prices=Ec2Prices(aws, cache=store),
        bills=CostExplorerBills(aws),
        trail=CloudTrail(aws, sleep=lambda _: None),
        store=store,
        timers=SchedulerTimers(aws, role_arn=ROLE_ARN, expire_arn=EXPIRE_ARN),
        notifier=notifier,
        ledger=ledger,
        regions=world.regions,
        home_region=world.home_region,
        is_armed=True,
    )
