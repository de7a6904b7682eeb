"""What the command line may say, and what is wrong with it."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from localaws.errors import LocalAwsError
from localaws.serve import listening

DEFAULT_REGIONS = "us-east-1,us-west-2,eu-west-1"
TOKEN = "local-admin-token"  # noqa: S105 it opens nothing but this process
REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of `serve`; `regions` are well formed, and the home region comes first."""

    api_port: int
    aws_port: int
    speed: float
    admin_token: str
    regions: tuple[str, ...]
    seed: int
    start: datetime
    app_dir: Path
    forwarded: tuple[str, ...] | None = None

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def aws_url(self) -> str:
        return f"http://127.0.0.1:{self.aws_port}"


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options themselves."""
    parser.add_argument("--api-port", type=int, default=8000, help="Curfew's own HTTP API (default 8000)")
    parser.add_argument(
        "--aws-port", type=int, default=5000, help="AWS, and the truth under /_world (default 5000)"
    )
    parser.add_argument(
        "--speed",
        type=float,
        default=60.0,
        help="at most so many times real time (default 60); 0: only /_world/clock",
    )
    parser.add_argument(
        "--admin-token",
        default=TOKEN,
        help=f"the bearer token that Curfew's API takes (default {TOKEN}, as in the README)",
    )
    parser.add_argument("--regions", default=DEFAULT_REGIONS, help="comma list; the first is the home region")
    parser.add_argument(
        "--forwarded",
        default="all",
        help="regions whose events reach the home region: all (default), none, or a comma list",
    )
    parser.add_argument("--seed", type=int, default=0, help="of prices, delays and fault rates")
    parser.add_argument("--start", default="", help="ISO 8601 time at which the clock starts (default: now)")
    parser.add_argument("--app-dir", default="", help=argparse.SUPPRESS)


def read(args: argparse.Namespace) -> Options:
    """The options, or a LocalAwsError that says what to change."""
    if args.speed < 0:
        raise LocalAwsError(f"--speed must be 0 or more, not {args.speed}")
    regions = _regions(args.regions, "--regions")
    if args.api_port == args.aws_port:
        raise LocalAwsError(f"--api-port and --aws-port are both {args.api_port}: they must differ")
    return Options(
        api_port=_port(args.api_port, "--api-port"),
        aws_port=_port(args.aws_port, "--aws-port"),
        speed=args.speed,
        admin_token=args.admin_token,
        regions=regions,
        seed=args.seed,
        start=_start(args.start),
        app_dir=Path(args.app_dir).resolve() if args.app_dir else _app_dir(),
        forwarded=_forwarded(args.forwarded, regions),
    )


def _app_dir() -> Path:
    """The repository this is run in: the nearest folder with an app.py, else the one this package belongs to."""
    here = Path.cwd()
    return next(
        (folder for folder in (here, *here.parents) if (folder / "app.py").exists()),
        Path(__file__).parents[2],
    )


def _port(port: int, option: str) -> int:
    if not 1 <= port <= 65535:
        raise LocalAwsError(f"{option} must be between 1 and 65535, not {port}")
    listening.check(port, option)
    return port


def _regions(text: str, option: str) -> tuple[str, ...]:
    regions = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not regions:
        raise LocalAwsError(f"{option} must name at least one region, such as us-east-1")
    for region in regions:
        if not REGION.fullmatch(region):
            raise LocalAwsError(f"{option}: {region!r} is no region; write for example {DEFAULT_REGIONS}")
    return regions


def _forwarded(text: str, regions: tuple[str, ...]) -> tuple[str, ...] | None:
    """Those that have a forwarder; None: all."""
    if text.strip() in ("all", "none"):
        return None if text.strip() == "all" else ()
    forwarded = _regions(text, "--forwarded")
    if not set(forwarded) <= set(regions):
        raise LocalAwsError(f"--forwarded: {text!r} must be all, none or some of {','.join(regions)}")
    return forwarded


def _start(text: str) -> datetime:
    if not text:
        return datetime.now(UTC).replace(second=0, microsecond=0)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as problem:
        raise LocalAwsError(f"--start must be a time such as 2026-03-02T09:00:00Z, not {text!r}") from problem
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
