"""Where am I: the only reader of the environment. A wrong setting fails at the first call, named with its fix."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from chalicelib.domain.partitions import partition_of

LEAST_SECRET = 32
HEX_SHA256 = re.compile(r"^[0-9a-f]{64}\Z")
ONLY_HEX = re.compile(r"^[0-9A-Fa-f]{32,128}\Z")
ADMIN_TOKEN = "CURFEW_ADMIN_TOKEN_SHA256"  # noqa: S105 (a variable's name)
HASH_IT = "printf %s \"$TOKEN\" | openssl dgst -sha256 -r | cut -d ' ' -f 1"


class SettingsError(Exception):
    """A variable is missing or wrong; the message names it and the fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the environment says. Optional ones are None: that feature is off, and /health says so."""

    table: str
    admin_token_sha256: str = field(repr=False)
    home_region: str
    regions: tuple[str, ...] | None
    mode: str
    armed: bool
    slack_webhook_url: str | None = field(repr=False)
    slack_webhook_parameter: str | None
    public_url: str | None
    timer_role_arn: str | None = None
    expire_arn: str | None = None
    deadman_url: str | None = field(default=None, repr=False)
    sns_topic_arn: str | None = None
    link_secret: str | None = field(default=None, repr=False)
    link_secret_parameter: str | None = None
    memory_mb: int = 1024
    transfer_bucket: str | None = None

    @property
    def is_dry_run(self) -> bool:
        """Nothing is ended and nothing launched."""
        return self.mode == "dry-run"

    def missing(self) -> tuple[Mapping[str, str], ...]:
        """What is not set up or not built, each with why it matters and the command that mends it."""
        lacking: list[Mapping[str, str]] = []
        if not (self.slack_webhook_url or self.slack_webhook_parameter):
            lacking.append(
                {
                    "what": "slack",
                    "why": "CURFEW_SLACK_WEBHOOK_URL is not set: nobody is warned",
                    "fix": "deploy with the parameter SlackWebhookUrl, see docs/deploy.md",
                }
            )
        lacking += self._links_missing()
        if not self.public_url:
            lacking.append(
                {
                    "what": "heartbeats",
                    "why": "CURFEW_PUBLIC_URL is not set: launched boxes can't tell of their work, so that only the "
                    "CloudWatch agent's metrics end an idle one",
                    "fix": "deploy with the parameter PublicUrl (the EndpointURL of the stack), see docs/deploy.md",
                }
            )
        if self.is_dry_run:
            lacking.append(
                {
                    "what": "enforcement",
                    "why": "CURFEW_MODE is dry-run: boxes that should end are reported and go on billing",
                    "fix": "deploy with the parameter Mode=enforce once the receipts look right",
                }
            )
        if not (self.timer_role_arn and self.expire_arn):
            lacking.append(
                {
                    "what": "timers",
                    "why": "CURFEW_TIMER_ROLE_ARN or CURFEW_EXPIRE_ARN is not set: while Curfew is down, nothing but "
                    "the deadline inside a launched box ends it, and an adopted one runs on",
                    "fix": "deploy the whole template, which sets both, see docs/deploy.md",
                }
            )
        if not self.deadman_url:
            lacking.append(
                {
                    "what": "dead man",
                    "why": "CURFEW_DEADMAN_URL is not set: nobody outside this account notices when Curfew is silent",
                    "fix": "deploy with the parameter DeadManUrl, a check that expects a GET every minute",
                }
            )
        if not self.transfer_bucket:
            lacking.append(
                {
                    "what": "transfers",
                    "why": "CURFEW_TRANSFER_BUCKET is not set: there are no links for files, and no box gets or saves "
                    "its data by sync_from and sync_to",
                    "fix": "deploy the whole template, which makes a bucket, see docs/transfers.md",
                }
            )
        if not self.sns_topic_arn:
            lacking.append(
                {
                    "what": "alarms",
                    "why": "CURFEW_SNS_TOPIC_ARN is not set: CloudWatch's alarms about Curfew reach nobody",
                    "fix": "deploy with the parameter AlarmTopicArn, an SNS topic that somebody has subscribed to",
                }
            )
        return tuple(lacking)

    def _links_missing(self) -> list[Mapping[str, str]]:
        lacking = [] if self.public_url else ["CURFEW_PUBLIC_URL"]
        if not (self.link_secret or self.link_secret_parameter):
            lacking.append("CURFEW_LINK_SECRET")
        if not lacking:
            return []
        return [
            {
                "what": "links in warnings",
                "why": f"{' and '.join(lacking)} not set: a warning can't be put off with one click",
                "fix": "deploy with the parameters PublicUrl (the EndpointURL of the stack) and LinkSecretParameter, "
                "see docs/deploy.md",
            }
        ]


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment. Raises SettingsError."""
    env = os.environ if environ is None else environ
    mode = env.get("CURFEW_MODE", "").strip() or "dry-run"
    if mode not in {"enforce", "dry-run"}:
        raise SettingsError(f"CURFEW_MODE is {mode!r}; it is 'enforce' or 'dry-run'")
    armed = env.get("CURFEW_ARMED", "").strip().lower() or "false"
    if armed not in {"true", "false"}:
        raise SettingsError(f"CURFEW_ARMED is {armed!r}; it is 'true' or 'false'")
    token = _token_hash(_required(env, ADMIN_TOKEN))
    secret = env.get("CURFEW_LINK_SECRET", "").strip()
    if secret and len(secret) < LEAST_SECRET:
        raise SettingsError(
            f"CURFEW_LINK_SECRET has less than {LEAST_SECRET} letters; make one with: openssl rand -hex 32"
        )
    regions = env.get("CURFEW_REGIONS", "").strip() or "all"
    named = tuple(dict.fromkeys(name.strip() for name in regions.split(",") if name.strip()))
    home_region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1"
    _check_partitions(CURFEW_REGIONS=named, AWS_REGION=(home_region,))
    return Settings(
        table=_required(env, "CURFEW_TABLE"),
        admin_token_sha256=token,
        home_region=home_region,
        regions=None if regions == "all" else named,
        mode=mode,
        armed=armed == "true",
        slack_webhook_url=env.get("CURFEW_SLACK_WEBHOOK_URL", "").strip() or None,
        slack_webhook_parameter=env.get("CURFEW_SLACK_WEBHOOK_URL_PARAMETER", "").strip() or None,
        deadman_url=_url(env, "CURFEW_DEADMAN_URL"),
        sns_topic_arn=env.get("CURFEW_SNS_TOPIC_ARN", "").strip() or None,
        public_url=_url(env, "CURFEW_PUBLIC_URL"),
        link_secret=secret or None,
        link_secret_parameter=env.get("CURFEW_LINK_SECRET_PARAMETER", "").strip() or None,
        timer_role_arn=env.get("CURFEW_TIMER_ROLE_ARN", "").strip() or None,
        expire_arn=env.get("CURFEW_EXPIRE_ARN", "").strip() or None,
        transfer_bucket=env.get("CURFEW_TRANSFER_BUCKET", "").strip() or None,
        memory_mb=int(env.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE") or 1024),
    )


def _token_hash(value: str) -> str:
    """The hash of the admin's token, in lower case. What else is there may be the token itself: it is not repeated."""
    if HEX_SHA256.match(value.lower()):
        return value.lower()
    if any(HEX_SHA256.match(word.lower()) for word in value.split()):
        what = (
            "has more than the hash: leave the 64 hexadecimal digits alone, without the dash, the file's name or the "
            "algorithm's that stand beside them"
        )
    elif ONLY_HEX.match(value):
        what = "is no SHA-256, which has 64 hexadecimal digits: another hash, or a part of one"
    else:
        what = (
            "is no SHA-256 in hex. If it is the token itself, everybody who may read this function's settings can read "
            "it, and it opens nothing: make a new token, and deploy its hash"
        )
    raise SettingsError(f"{ADMIN_TOKEN} {what}. This prints the hash of $TOKEN: {HASH_IT}")


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "").strip()
    if not value:
        raise SettingsError(f"{name} is not set: Curfew can't start without it, see docs/deploy.md")
    return value


def _check_partitions(**named: tuple[str, ...]) -> None:
    for name, regions in named.items():
        for region in regions:
            if partition := partition_of(region):
                raise SettingsError(
                    f"{name} has {region}, which is in {partition}: Curfew does not support it, see docs/limits.md. "
                    "Name regions of the partition aws, such as us-east-1, and deploy it in one"
                )


def _url(env: Mapping[str, str], name: str) -> str | None:
    value = env.get(name, "").strip()
    if value and not value.startswith(("http://", "https://")):
        raise SettingsError(f"{name} is no http(s) URL; leave it out, or give it whole")
    return value or None
