"""One botocore Session and its clients, made when first needed; and what an AWS error means to Curfew.

Building a Session costs about 0.3 s and a first EC2 client as much again, so both are kept for the life of the process.
The time-outs add up to less than the 60 s a sweep has, so that a region that hangs is found out in time for the others:
docs/limits.md has the sum.
"""

from __future__ import annotations

from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import create_loader
from botocore.session import Session
from botocore.utils import parse_timestamp

from chalicelib.domain.errors import Unavailable
from chalicelib.gateways.ledger import MemoryLedger, watch

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ssm import SSMClient

AWS_ERRORS = (ClientError, BotoCoreError)
"""Everything botocore raises when AWS refuses, does not answer, or can't be reached."""

READING = Config(connect_timeout=2, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})
ACTING = Config(connect_timeout=1, read_timeout=4, retries={"mode": "standard", "total_max_attempts": 2})
"""Ends are idempotent: the second try is for a throttle, and both together keep nobody waiting for over 11 s."""
LAUNCHING = Config(connect_timeout=1, read_timeout=9, retries={"mode": "standard", "total_max_attempts": 1})
"""One try: a launch without an answer is asked for again by its token, now or by the sweep."""
ASKING = Config(connect_timeout=1, read_timeout=4, retries={"mode": "standard", "total_max_attempts": 1})
"""For what a kill waits for, but not long (metrics, what a lost launch has started): asked again in a minute."""
PROMPT = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})
"""For what a launch has to know first: the second try is for a throttle, and its caller waits for 7 s at most."""
HURRIED = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 1})
"""For what can be done without."""

DENIED = frozenset(
    {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "OptInRequired", "AuthFailure"}
)
THROTTLES = frozenset(
    "RequestLimitExceeded Throttling ThrottlingException ThrottledException RequestThrottled TooManyRequestsException "
    "RequestThrottledException BandwidthLimitExceeded SlowDown EC2ThrottledException".split()
)


_models = create_loader()
"""botocore's models of the services, 0.2 s to read EC2's: once a process, however many containers it plays in turn."""


def new_session() -> Session:
    """A Session that shares what this process has read of botocore's models."""
    session = Session()
    session.register_component("data_loader", _models)
    return session


class Aws:
    """Clients by service, region and patience, made lazily and shared between threads. What their calls cost is counted
    in `ledger`."""

    def __init__(
        self, home_region: str, *, session: Session | None = None, ledger: MemoryLedger | None = None
    ) -> None:
        self.home_region = home_region
        self._session = session
        self._ledger = ledger
        self._clients: dict[tuple[str, str, int], BaseClient] = {}
        self._lock = Lock()

    def ec2(self, region: str, config: Config = READING) -> EC2Client:
        """EC2 of a region."""
        return cast("EC2Client", self.client("ec2", region, config))

    def cloudwatch(self, region: str) -> CloudWatchClient:
        """CloudWatch of a region."""
        return cast("CloudWatchClient", self.client("cloudwatch", region, ASKING))

    def ssm(self) -> SSMClient:
        """Systems Manager of the home region."""
        return cast("SSMClient", self.client("ssm", self.home_region, HURRIED))

    def client(self, service: str, region: str, config: Config = READING) -> BaseClient:
        """Any client; botocore's clients are safe to share between threads, making them is not."""
        key = (service, region, id(config))
        with self._lock:
            if key not in self._clients:
                self._session = self._session or new_session()
                _parse_times_fast(self._session)
                made = self._session.create_client(service, region_name=region, config=config)
                if self._ledger:
                    watch(made, service, self._ledger)
                self._clients[key] = made
            return self._clients[key]


def _parse_times_fast(session: Session) -> None:
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=parse_time)


def parse_time(value: Any) -> datetime:
    """botocore's timestamp parser, with a short cut for EC2's own format that halves the cost of a large answer."""
    if isinstance(value, str) and value[10:11] == "T" and value.endswith("Z"):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    return parse_timestamp(value)


def code_of(error: BaseException) -> str:
    """AWS's error code, or the name of what kept AWS from answering (`ReadTimeoutError`)."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code") or "Unknown")
    return type(error).__name__


def status_of(error: BaseException) -> int | None:
    """The HTTP status of an answer, None where none came."""
    if isinstance(error, ClientError):
        return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return None


def explain(error: BaseException) -> str:
    """Code and message for a person."""
    if isinstance(error, ClientError):
        message = str(error.response.get("Error", {}).get("Message") or "").strip()
        if message.startswith(f"{code_of(error)}: "):
            return message
        return f"{code_of(error)}: {message}" if message else code_of(error)
    return f"{type(error).__name__}: {error}"


def is_settled(error: BaseException) -> bool:
    """AWS looked at the request and refused it for what it asks; asking again as it is would be refused again."""
    status = status_of(error)
    return status is not None and 400 <= status < 500 and code_of(error) not in THROTTLES  # noqa: PLR2004 (HTTP)


def unavailable(what: str, error: BaseException) -> Unavailable:
    """The failure of one call, as the use cases know it."""
    return Unavailable(f"{what}: {explain(error)}", code=code_of(error))
