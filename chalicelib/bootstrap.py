"""The composition root: Settings → Services, built lazily and once, so that a warm Lambda keeps its clients."""

from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, cast

from chalicelib import settings as environment
from chalicelib.gateways.aws import HURRIED, Aws
from chalicelib.gateways.beacons import RandomBeacons
from chalicelib.gateways.clock import SystemClock
from chalicelib.gateways.cloudtrail import CloudTrail
from chalicelib.gateways.cloudwatch import CloudWatchMetrics
from chalicelib.gateways.cost_explorer import CostExplorerBills
from chalicelib.gateways.deadman import DeadManUrl
from chalicelib.gateways.dry_run import DryRunCompute
from chalicelib.gateways.dynamodb import DynamoStore
from chalicelib.gateways.ec2 import Ec2Compute
from chalicelib.gateways.ec2_catalogue import Ec2Catalogue
from chalicelib.gateways.ec2_keys import Ec2Keys
from chalicelib.gateways.ec2_security_groups import Ec2SecurityGroups
from chalicelib.gateways.free_tier import AwsFreeTier
from chalicelib.gateways.ledger import MemoryLedger
from chalicelib.gateways.links import SignedLinks
from chalicelib.gateways.pricing import Ec2Prices
from chalicelib.gateways.s3 import S3Transfers
from chalicelib.gateways.scheduler import SchedulerTimers
from chalicelib.gateways.scratch_store import ScratchStore
from chalicelib.gateways.slack import SlackNotifier
from chalicelib.gateways.sns import SnsNotifier
from chalicelib.ports import Compute, Links, NoLinks, NoTimers, NoTransfers, Services, Timers
from chalicelib.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@cache
def settings() -> Settings:
    """What the environment says. Raises SettingsError."""
    return environment.read()


@cache
def services() -> Services:
    """Everything the use cases speak to. Raises SettingsError; calls nothing."""
    here = settings()
    ledger = MemoryLedger(memory_mb=here.memory_mb)
    aws = Aws(here.home_region, ledger=ledger)
    clock = SystemClock()
    compute: Compute = Ec2Compute(aws)
    store = DynamoStore(partial(_dynamodb, aws), here.table, sleep=clock.sleep)
    return Services(
        clock=clock,
        compute=DryRunCompute(compute) if here.is_dry_run else compute,
        metrics=CloudWatchMetrics(aws),
        prices=Ec2Prices(aws, cache=store),
        bills=CostExplorerBills(aws),
        trail=CloudTrail(aws),
        store=store,
        notifier=SlackNotifier(
            aws, url=here.slack_webhook_url, parameter=here.slack_webhook_parameter, clock=clock
        ),
        topic=SnsNotifier(aws, topic_arn=here.sns_topic_arn),
        ledger=ledger,
        deadman=DeadManUrl(here.deadman_url) if here.deadman_url else None,
        regions=here.regions,
        home_region=here.home_region,
        is_armed=here.armed,
        is_dry_run=here.is_dry_run,
        timers=_timers(aws, here),
        links=_links(aws, here),
        beacons=RandomBeacons(here.public_url) if here.public_url else None,
        catalogue=Ec2Catalogue(aws),
        keys=Ec2Keys(aws),
        transfers=S3Transfers(aws, bucket=here.transfer_bucket) if here.transfer_bucket else NoTransfers(),
        security_groups=Ec2SecurityGroups(aws),
        free_tier=AwsFreeTier(aws),
        tokens=store,
        audit=store,
        missing=here.missing(),
    )


def _dynamodb(aws: Aws) -> "DynamoDBClient":
    return cast("DynamoDBClient", aws.client("dynamodb", aws.home_region, HURRIED))


def _timers(aws: Aws, here: Settings) -> Timers:
    """None in dry-run either: a timer ends things."""
    if here.is_dry_run or not (here.timer_role_arn and here.expire_arn):
        return NoTimers()
    return SchedulerTimers(aws, role_arn=here.timer_role_arn, expire_arn=here.expire_arn)


def _links(aws: Aws, here: Settings) -> Links:
    if not here.public_url or not (here.link_secret or here.link_secret_parameter):
        return NoLinks()
    return SignedLinks(
        aws, public_url=here.public_url, secret=here.link_secret, parameter=here.link_secret_parameter
    )


def rehearsal(real: Services) -> Services:
    """The same services, with every act and every write taken away: what a sweep would do, without doing it."""
    return replace(
        real,
        compute=DryRunCompute(real.compute),
        store=ScratchStore(real.store),
        timers=NoTimers(),
        deadman=None,
        is_dry_run=True,
    )
