"""The fence round the process: no real account can be reached from in here."""

from __future__ import annotations

import hashlib
from collections.abc import MutableMapping, Sequence

from localaws.events.bus import ACCOUNT

PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY"})
OUTSIDE = ("_URL", "_ARN", "_PARAMETER", "_BUCKET")
TABLE = "curfew"
BUCKET = "curfew-transfers"
KEY = "testing"


def fence_off(environ: MutableMapping[str, str], *, region: str, endpoint_url: str) -> None:
    """Take away everything that leads to a real account, and point every AWS client at `endpoint_url`.

    The caller's AWS_* (keys, profiles, endpoints by service), ~/.aws, the instance metadata service and proxies are
    out of reach afterwards; the keys that are left open nothing.
    """
    for name in list(environ):
        if name.startswith(("AWS_", "MOTO_", "BOTO")) or name.upper() in PROXIES:
            del environ[name]
    environ.update(
        {
            "AWS_ENDPOINT_URL": endpoint_url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_SESSION_TOKEN": KEY,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_DEFAULT_REGION": region,
            "AWS_REGION": region,
            "NO_PROXY": "*",
            "no_proxy": "*",
            "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
        }
    )


def configure_curfew(
    environ: MutableMapping[str, str], *, regions: Sequence[str], admin_token: str, api_url: str, aws_url: str
) -> None:
    """Curfew's own settings. The caller's CURFEW_MODE and CURFEW_ARMED stand; what leads to things outside does not."""
    for name in list(environ):
        if name.startswith("CURFEW_") and name.endswith(OUTSIDE):
            del environ[name]
    environ.setdefault("CURFEW_MODE", "enforce")
    environ.setdefault("CURFEW_ARMED", "true")
    environ.update(
        {
            "CURFEW_TABLE": TABLE,
            "CURFEW_TRANSFER_BUCKET": BUCKET,
            "CURFEW_REGIONS": ",".join(regions),
            "CURFEW_ADMIN_TOKEN_SHA256": hashlib.sha256(admin_token.encode()).hexdigest(),
            "CURFEW_SLACK_WEBHOOK_URL": f"{aws_url}/_world/slack/webhook",
            "CURFEW_PUBLIC_URL": api_url,
            "CURFEW_LINK_SECRET": hashlib.sha256(f"links of {admin_token}".encode()).hexdigest(),
            "CURFEW_TIMER_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/curfew-timers",
            "CURFEW_EXPIRE_ARN": f"arn:aws:lambda:{environ.get('AWS_REGION', regions[0])}:{ACCOUNT}:function:expire",
        }
    )
